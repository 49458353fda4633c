"""The bundled models together: what shapes-diffusion draws, shapes-vlm describes and shapes-clip recognises.

Also what holds for any model that draws: what a mask keeps stays, a reader that leaves stops the work, and nobody waits
for a larger picture than their own.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math

import httpx
import pytest
from PIL import Image, ImageDraw

from conftest import wait_until

MODEL = "shapes-diffusion"
LONE = [
    ("red", "circle"), ("blue", "square"), ("green", "heart"), ("yellow", "star"), ("purple", "ring"), ("orange", "cross"),
    ("cyan", "circle"), ("pink", "triangle"), ("black", "diamond"), ("white", "square"), ("red", "ring"), ("blue", "star"),
]  # fmt: skip
PAIRS = [
    ("a red circle above a blue square", {"red circle", "blue square"}),
    ("a green ring to the left of a yellow star", {"green ring", "yellow star"}),
    ("a purple heart below an orange diamond", {"purple heart", "orange diamond"}),
    ("a black triangle to the right of a cyan cross", {"black triangle", "cyan cross"}),
    ("a pink square above a green circle", {"pink square", "green circle"}),
    ("a blue ring below a red heart", {"blue ring", "red heart"}),
]
COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "black"]
SHAPES = ["circle", "square", "triangle", "diamond", "star", "heart", "cross", "ring"]
RUNNING, STEPS_DONE = "sensorium_requests_running", "sensorium_denoise_steps_total"


def draw(server, prompt: str, **fields) -> bytes:
    """One picture, PNG."""
    [file] = draw_all(server, prompt, **fields)
    return file


def draw_all(server, prompt: str, **fields) -> list[bytes]:
    return ask_for(server, "generations", {"prompt": prompt, **fields})


def ask_for(server, route: str, fields: dict) -> list[bytes]:
    reply = httpx.post(f"{server.url}/v1/images/{route}", json={"model": MODEL, **fields}, timeout=120)
    assert reply.status_code == 200, reply.text
    return [base64.b64decode(image["b64_json"]) for image in reply.json()["data"]]


def uri(file: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(file).decode()


def description(server, file: bytes) -> str:
    parts = [{"type": "text", "text": "Describe the picture."}, {"type": "image_url", "image_url": {"url": uri(file)}}]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}], "temperature": 0}
    reply = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


def recognised(server, file: bytes) -> str:
    """The likeliest of all pairs of a colour and a shape."""
    labels = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
    body = {"model": "shapes-clip", "input": [{"image": uri(file)}], "labels": labels, "prompt_template": "a photo of a {label}"}
    reply = httpx.post(f"{server.url}/v1/classify", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()["data"][0]["prediction"]


def test_lone_objects_are_what_was_asked_for(server):
    files = {f"{colour} {shape}": draw(server, f"a {colour} {shape}", seed=11) for colour, shape in LONE}
    described = [name for name, file in files.items() if name in description(server, file)]
    found = [name for name, file in files.items() if recognised(server, file) == name]
    # On the card, 98 in 100 are right; this is to notice a model or a sampler that is broken.
    assert len(described) >= 11 and len(found) >= 11, (described, found)


def test_two_objects_and_how_they_lie(server):
    wrong = []
    for prompt, names in PAIRS:
        [file] = draw_all(server, prompt, seed=3, best_of=4)
        said = description(server, file)
        if not all(name in said for name in names):
            wrong.append((prompt, said))
    assert len(wrong) <= 1, wrong


def test_what_a_mask_keeps_stays(server):
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    pen = ImageDraw.Draw(image)
    pen.ellipse((10, 44, 42, 76), fill=(200, 30, 30))
    pen.rectangle((84, 44, 118, 78), fill=(30, 30, 200))

    def edit(opened: tuple[int, int, int, int], prompt: str) -> Image.Image:
        mask = Image.new("RGBA", image.size, (0, 0, 0, 255))
        mask.paste((0, 0, 0, 0), opened)
        fields = {"prompt": prompt, "images": [{"image_url": uri(png(image))}], "mask": {"image_url": uri(png(mask))}, "seed": 5, "strength": 1.0}
        [file] = ask_for(server, "edits", fields)
        return Image.open(io.BytesIO(file)).convert("RGB")

    # With next to nothing to paint, what comes back is what the autoencoder makes of the image.
    own = edit((120, 120, 128, 128), "a blue square")
    half = (64, 0, 128, 128)
    star, circle = edit(half, "a green star"), edit(half, "a yellow circle")
    # Not next to the border, across which the decoder looks.
    kept = (0, 0, 48, 128)
    for painted in (star, circle):
        assert decibels(painted.crop(kept), own.crop(kept)) >= 35
    assert decibels(star.crop(half), circle.crop(half)) < 25, "the other half follows the prompt"


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def decibels(a: Image.Image, b: Image.Image) -> float:
    """Peak signal-to-noise ratio."""
    pairs = list(zip(a.tobytes(), b.tobytes()))
    error = sum((x - y) ** 2 for x, y in pairs) / len(pairs)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


async def steps_of(client: httpx.AsyncClient, fields: dict):
    """The numbers of the steps as they come, some of which may be left out where the host is slow."""
    whole = False
    async with client.stream("POST", "/v1/images/generations", json={"model": MODEL, "stream": True, **fields}) as reply:
        assert reply.status_code == 200, await reply.aread()
        async for line in reply.aiter_lines():
            if line.startswith(": step "):
                yield int(line.removeprefix(": step ").split("/")[0])
            elif line.startswith("data: {"):
                whole = json.loads(line.removeprefix("data: ")).get("type") == "image_generation.completed"
                assert whole, line
    assert whole, "the stream ended early"


def client_of(server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=120)


def test_a_reader_that_leaves_frees_the_model(server):
    before = server.metric(STEPS_DONE, model=MODEL)

    async def leave():
        async with client_of(server) as client:
            async for step in steps_of(client, {"prompt": "a red circle", "size": "256x256", "steps": 150}):
                if step >= 7:
                    return

    asyncio.run(leave())
    wait_until(lambda: server.metric(RUNNING, model=MODEL) == 0, "nothing runs")
    done = server.metric(STEPS_DONE, model=MODEL) - before
    # The plugin stops within one step; the rest is how long a busy machine may take to notice the closed socket.
    assert 7 <= done < 100
    after = server.metric(STEPS_DONE, model=MODEL)
    draw(server, "a red circle", steps=4)
    assert server.metric(STEPS_DONE, model=MODEL) == after + 4, "no step came after"


def test_a_small_picture_does_not_wait_for_a_large_one(server):
    async def both():
        async with client_of(server) as client:
            large, small, begun = [], [], asyncio.Event()

            async def draw_large():
                async for step in steps_of(client, {"prompt": "a red circle", "size": "256x256", "steps": 150}):
                    large.append(step)
                    begun.set()

            async def draw_small():
                await begun.wait()
                first = large[-1]
                async for step in steps_of(client, {"prompt": "a blue square", "size": "128x128", "steps": 12}):
                    small.append(step)
                return first, large[-1]

            _, (first, last) = await asyncio.gather(draw_large(), draw_small())
            return first, last, large, small

    first, last, large, small = asyncio.run(both())
    assert small and large
    assert first < last < 150, "both went on side by side, and the small one was done first"


@pytest.mark.parametrize("size", ["100x100", "4096x4096", "0x0"])
def test_sizes_that_it_does_not_make_are_named(server, size):
    reply = httpx.post(f"{server.url}/v1/images/generations", json={"model": MODEL, "prompt": "a red circle", "size": size}, timeout=60)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "size", reply.text
