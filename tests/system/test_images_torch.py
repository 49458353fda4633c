"""The torch plugin through the whole server: a Stable Diffusion 1.5 with random weights, ranked by shapes-clip.

What it draws means nothing; that seeds, previews, masks and ranking come through does.
"""

from __future__ import annotations

import base64
import io
import json

import httpx
import pytest
from PIL import Image, ImageDraw

from conftest import ROOT

REGISTRY = f"""
[[model]]
id = "shapes-clip"
plugin = "candle"
source = {{ path = "{ROOT}/models/shapes-clip" }}
load = "eager"

[[model]]
id = "sd"
plugin = "torch"
source = {{ path = "{ROOT}/plugins/torch/tests/golden/sd15" }}
load = "eager"
"""
STEPS = 6


@pytest.fixture
def server(start):
    return start(REGISTRY)


def make(server, route="generations", **fields) -> dict:
    body = {"model": "sd", "prompt": "a red circle", "steps": STEPS, "seed": 5} | fields
    reply = httpx.post(f"{server.url}/v1/images/{route}", json=body, timeout=120)
    assert reply.status_code == 200, reply.text
    return reply.json()


def files(reply: dict) -> list[bytes]:
    return [base64.b64decode(image["b64_json"]) for image in reply["data"]]


def test_a_seed_repeats_an_image_also_in_company_and_after_a_restart(server, start):
    [alone] = files(make(server))
    assert files(make(server, n=3))[0] == alone
    assert files(make(server, seed=6))[0] != alone
    assert files(make(start(REGISTRY)))[0] == alone
    image = Image.open(io.BytesIO(alone))
    assert image.format == "PNG" and "5" in image.text["parameters"]


def test_a_stream_shows_steps_previews_and_the_image(server):
    body = {"model": "sd", "prompt": "a red circle", "steps": STEPS, "seed": 5, "stream": True, "partial_images": 2}
    text = httpx.post(f"{server.url}/v1/images/generations", json=body, timeout=120).text
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: {")]
    kinds = [event["type"].removeprefix("image_generation.") for event in events]
    assert kinds == ["partial_image", "partial_image", "completed"]
    assert f": step {STEPS}/{STEPS}" in text
    assert base64.b64decode(events[-1]["b64_json"]) == files(make(server))[0]


def test_the_best_of_several_by_clip(server):
    several = make(server, n=4)
    best = make(server, n=2, best_of=4)
    scores = [image["score"] for image in best["data"]]
    assert scores == sorted(scores, reverse=True) and all(-1 <= score <= 1 for score in scores)
    by_seed = dict(zip((image["seed"] for image in several["data"]), files(several)))
    assert files(best) == [by_seed[image["seed"]] for image in best["data"]]


def test_what_a_mask_covers_is_painted_and_the_rest_follows_the_image(server):
    [plain] = files(make(server))
    side = Image.open(io.BytesIO(plain)).width
    image = Image.new("RGB", (side, side), (128, 128, 128))
    ImageDraw.Draw(image).ellipse((4, 4, side // 2 - 4, side - 4), fill=(200, 30, 30))
    mask = Image.new("RGBA", image.size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (side // 2, 0, side, side))

    def uri(picture: Image.Image) -> dict:
        file = io.BytesIO()
        picture.save(file, "PNG")
        return {"image_url": "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()}

    def edit(seed: int) -> Image.Image:
        [file] = files(make(server, "edits", images=[uri(image)], mask=uri(mask), strength=1.0, seed=seed))
        return Image.open(io.BytesIO(file)).convert("RGB")

    def differ(a: Image.Image, b: Image.Image, box) -> float:
        pairs = zip(a.crop(box).tobytes(), b.crop(box).tobytes())
        return sum(abs(x - y) for x, y in pairs) / len(a.crop(box).tobytes())

    first, second = edit(1), edit(2)
    # Far from the border, where the decoder doesn't look across it.
    kept, painted = (0, 0, side // 8, side), (side // 2, 0, side, side)
    assert differ(first, second, painted) > differ(first, second, kept)


def test_what_the_sampler_cannot_do_is_the_callers_to_mend(server):
    body = {"model": "sd", "prompt": "a red circle", "steps": 1}
    reply = httpx.post(f"{server.url}/v1/images/generations", json=body, timeout=60)
    assert reply.status_code == 400 and reply.json()["error"]["param"] == "steps", reply.text
