"""Hostile requests for images: none is answered by a 5xx, none ends the plugin, and what is left behind is nothing.

FUZZ_REQUESTS says how many (default 200), FUZZ_SEED which ones.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import random

import httpx
from PIL import Image

from conftest import ROOT, wait_until

COUNT = int(os.environ.get("FUZZ_REQUESTS", "200"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
AT_ONCE = 8
MODEL = "gpt-image-1"
PROMPTS = ("a red circle", "", " ", "\0", "circle " * 500, "<|endoftext|>", "{{ 7 * 7 }}", "\u202e%s%n", "🦀" * 3000, 7, None, ["a"], {"a": 1})
SIZES = ("auto", "64x64", "128x128", "0x0", "1x1", "7x7", "16384x16384", "99999x8", "64", "x", "-1x-1", "64x64x64", "", 64, None, [64, 64])
NUMBERS = (0, 1, 2, 3, -1, 10, 17, 1.5, 1e9, 1e308, -0.0, 2**63, 2**64, "1", "NaN", True, None, [], {})
KNOBS = (
    "n", "seed", "steps", "guidance_scale", "strength", "best_of", "partial_images", "output_compression", "stream", "truncate",
)
WORDS = {
    "scheduler": ("PNDMScheduler", "NoSuchScheduler", "", 1, None),
    "negative_prompt": PROMPTS,
    "response_format": ("b64_json", "url", "file", 1),
    "output_format": ("png", "jpeg", "webp", "gif", None),
    "background": ("auto", "opaque", "transparent", 1),
    "loras": (["ink"], [{"name": "ink", "weight": 1e9}], [{}], {"ink": "x"}, "ink", 3),
    "quality": ("hd", 1),
    "unheard_of": (1, "a"),
}


def picture(rng: random.Random) -> bytes:
    """An image's file, or something that is none."""
    if rng.random() < 0.3:
        return rng.choice((b"", b"nonsense", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff" * 9, b"<svg/>", b"GIF89a" + bytes(9)))
    mode = rng.choice(("RGB", "RGBA", "L", "LA", "P", "1", "CMYK"))
    size = rng.choice(((1, 1), (1, 300), (300, 1), (64, 64), (63, 65), (128, 128), (640, 480)))
    file = io.BytesIO()
    Image.new(mode, size).save(file, "JPEG" if mode == "CMYK" else "PNG")
    whole = file.getvalue()
    return whole[: rng.randrange(8, len(whole))] if rng.random() < 0.2 else whole


def reference(rng: random.Random):
    """A picture as JSON may refer to one."""
    uri = "data:image/png;base64," + base64.b64encode(picture(rng)).decode()
    strange = ("", "http://127.0.0.1:1/x.png", "file:///etc/passwd", "http://[::1]/", 7, None, {}, {"image_url": 7}, {"file_id": "f"})
    return rng.choice((uri, {"image_url": uri}, {"image_url": {"url": uri}}, rng.choice(strange)))


def fields(rng: random.Random) -> dict:
    """A request of which some is good and some is not."""
    body = {"model": MODEL, "prompt": "a red circle", "steps": 3}
    if rng.random() < 0.2:
        body["prompt"] = rng.choice(PROMPTS)
    if rng.random() < 0.2:
        body["size"] = rng.choice(SIZES)
    for name in rng.sample(KNOBS, rng.randrange(3) // 2):
        body[name] = rng.choice(NUMBERS)
    for name in rng.sample(sorted(WORDS), rng.randrange(3) // 2):
        body[name] = rng.choice(WORDS[name])
    if rng.random() < 0.3:
        body |= {"stream": True, "partial_images": rng.randrange(4)}
    return body


def request(number: int) -> dict:
    """What to send, as arguments of `httpx`."""
    rng = random.Random(f"image {number}")
    route = rng.choice(("generations", "edits", "variations"))
    body = fields(rng)
    if route == "generations":
        return {"url": "/v1/images/generations", "json": body}
    if route == "variations" and rng.random() < 0.9:
        body = {name: value for name, value in body.items() if name not in ("prompt", "stream", "partial_images")}
    if rng.random() < 0.5:
        body["image"] = [reference(rng) for _ in range(rng.choice((1, 1, 2, 17)))] if rng.random() < 0.3 else reference(rng)
        if rng.random() < (0.5 if route == "edits" else 0.1):
            body["mask"] = reference(rng)
        return {"url": f"/v1/images/{route}", "json": body}
    files = [(rng.choice(("image", "image[]")), ("x.png", picture(rng), "image/png")) for _ in range(rng.choice((0, 1, 1, 1, 17)))]
    if rng.random() < (0.4 if route == "edits" else 0.1):
        files.append(("mask", ("m.png", picture(rng), "image/png")))
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    # Without a file httpx would send no multipart form.
    return {"url": f"/v1/images/{route}", "data": texts, "files": files or {"other": (None, "x")}}


async def send(client: httpx.AsyncClient, number: int) -> str | None:
    """Sends one request, and sometimes leaves before the reply is whole. Returns what is wrong, if anything is."""
    rng = random.Random(f"way {number}")
    leaves = rng.random() < 0.2
    arguments = request(number)
    if "json" in arguments:
        # JSON may say what Python's own writer refuses, and in escapes what UTF-8 can't.
        arguments = {"url": arguments["url"], "content": json.dumps(arguments["json"]), "headers": {"content-type": "application/json"}}
    try:
        async with asyncio.timeout(rng.random() ** 3 * 0.3 if leaves else 120):
            reply = await client.post(**arguments)
    except TimeoutError:
        return None if leaves else f"{number}: no reply"
    except httpx.TransportError as error:
        return f"{number}: {error!r}"
    return judge(number, reply)


def judge(number: int, reply: httpx.Response) -> str | None:
    """Every reply is one that a client can read."""
    text = reply.text
    if reply.status_code not in (200, 400, 413, 429):
        return f"{number}: {reply.status_code} {text[:300]}"
    if reply.status_code != 200:
        error = json.loads(text)["error"]
        good = set(error) == {"message", "type", "param", "code"} and error["message"] and str(ROOT) not in text and ".sock" not in text
        return None if good else f"{number}: {text[:300]}"
    if reply.headers["content-type"].startswith("text/event-stream"):
        events = [json.loads(line.removeprefix("data: ")) for line in text.split("\n") if line.startswith("data: ")]
        return None if events and events[-1].get("type", "").endswith(".completed") else f"{number}: {str(events[-1:])[:300]}"
    return None if json.loads(text)["data"] else f"{number}: {text[:300]}"


async def send_all(url: str, numbers: list[int]) -> list[str]:
    waiting, wrong = list(reversed(numbers)), []
    async with httpx.AsyncClient(base_url=url, timeout=120) as client:

        async def worker():
            while waiting:
                problem = await send(client, waiting.pop())
                if problem:
                    wrong.append(problem)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return wrong


def make(url: str) -> str:
    body = {"model": MODEL, "prompt": "a red circle", "seed": 1, "steps": 3}
    return httpx.post(f"{url}/v1/images/generations", json=body, timeout=120).json()["data"][0]["b64_json"]


def test_hostile_requests_for_images_harm_nobody(painter):
    model = next(m for m in httpx.get(f"{painter.url}/v1/models").json()["data"] if m["id"] == MODEL)
    before = make(painter.url)
    pids = painter.plugin_pids(model["plugin"])
    wrong = asyncio.run(send_all(painter.url, list(range(SEED * 1_000_000, SEED * 1_000_000 + COUNT))))
    assert not wrong, f"{len(wrong)} of {COUNT}: " + "\n".join(wrong[:20])
    wait_until(lambda: painter.metric("sensorium_requests_running", model=model["root"]) == 0, "nothing runs")
    assert painter.plugin_pids(model["plugin"]) == pids
    assert painter.metric("sensorium_instance_restarts_total", model=model["root"]) == 0
    assert make(painter.url) == before
