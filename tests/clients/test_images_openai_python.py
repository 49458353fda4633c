"""Images with openai-python, unmodified: made from words, edited, varied, streamed, ranked, refused."""

from __future__ import annotations

import base64
import io
import struct
import zlib

import httpx
import openai
import pytest
from PIL import Image, ImageChops, ImageDraw

MODEL = "gpt-image-1"
PROMPT = "a red circle above a blue square"
FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


@pytest.fixture(scope="module")
def client(painter):
    with openai.OpenAI(base_url=f"{painter.url}/v1", api_key="any", max_retries=0, timeout=300) as client:
        yield client


def picture(text: str) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(text)))
    image.load()
    return image


def png(image: Image.Image) -> tuple[str, bytes, str]:
    file = io.BytesIO()
    image.save(file, "PNG")
    return "image.png", file.getvalue(), "image/png"


def scene() -> Image.Image:
    """A red circle on the left and a blue square on the right of grey."""
    image = Image.new("RGB", (128, 128), (128, 128, 128))
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 44, 50, 84), fill=(200, 30, 30))
    draw.rectangle((78, 44, 118, 84), fill=(30, 30, 200))
    return image


def mask() -> Image.Image:
    """Transparent, and so to be painted anew, on the right."""
    image = Image.new("RGBA", (128, 128), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), (64, 0, 128, 128))
    return image


def empty() -> bytes:
    """A PNG of no pixels, which no library writes."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 6, 0, 0, 0)), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def distance(a: Image.Image, b: Image.Image, box) -> float:
    """Mean distance of two images inside a box, in levels."""
    difference = ImageChops.difference(a.convert("RGB").crop(box), b.convert("RGB").crop(box)).tobytes()
    return sum(difference) / len(difference)


def test_a_prompt_alone_becomes_a_picture(client):
    reply = client.images.generate(model=MODEL, prompt=PROMPT)
    [image] = reply.data
    width, height = map(int, reply.size.split("x"))
    assert picture(image.b64_json).size == (width, height)
    assert image.url is None and reply.output_format == "png" and reply.created > 1_700_000_000
    assert reply.usage.total_tokens == reply.usage.input_tokens > 0


def test_equal_seeds_make_equal_pictures_and_the_file_says_how(client):
    options = {"seed": 7, "steps": 6, "guidance_scale": 3.0}
    one, other = (client.images.generate(model=MODEL, prompt=PROMPT, n=2, extra_body=options) for _ in range(2))
    assert [image.b64_json for image in one.data] == [image.b64_json for image in other.data]
    assert [image.to_dict()["seed"] for image in one.data] == [7, 8]
    text = picture(one.data[1].b64_json).text["parameters"]
    assert text.startswith(PROMPT) and "Seed: 8" in text and "Steps: 6" in text and "CFG scale: 3" in text
    assert one.to_dict()["parameters"]["steps"] == 6


@pytest.mark.parametrize("output_format", FORMATS)
def test_every_file_format(client, output_format):
    reply = client.images.generate(model=MODEL, prompt=PROMPT, output_format=output_format, extra_body={"steps": 4})
    assert picture(reply.data[0].b64_json).format == FORMATS[output_format]


def test_a_link_can_be_followed(client):
    reply = client.images.generate(model=MODEL, prompt=PROMPT, response_format="url", extra_body={"steps": 4, "seed": 1})
    file = httpx.get(reply.data[0].url)
    assert file.status_code == 200 and file.headers["content-type"] == "image/png"
    again = client.images.generate(model=MODEL, prompt=PROMPT, extra_body={"steps": 4, "seed": 1})
    assert file.content == base64.b64decode(again.data[0].b64_json)


def test_a_stream_shows_partial_images(client):
    options = {"seed": 3, "steps": 12}
    stream = client.images.generate(model=MODEL, prompt=PROMPT, stream=True, partial_images=3, extra_body=options)
    events = list(stream)
    assert [event.type for event in events] == ["image_generation.partial_image"] * 3 + ["image_generation.completed"]
    assert [event.partial_image_index for event in events[:3]] == [0, 1, 2]
    assert len({event.b64_json for event in events}) == 4
    whole = client.images.generate(model=MODEL, prompt=PROMPT, extra_body=options)
    assert events[-1].b64_json == whole.data[0].b64_json
    assert events[-1].usage.total_tokens == whole.usage.total_tokens
    assert {event.size for event in events} == {whole.size}


def test_an_edit_leaves_what_the_mask_keeps(client):
    options = {"seed": 5}
    reply = client.images.edit(model=MODEL, image=png(scene()), mask=png(mask()), prompt="a green star", extra_body=options)
    edited = picture(reply.data[0].b64_json)
    assert edited.size == (128, 128)
    kept, painted = distance(edited, scene(), (0, 0, 60, 128)), distance(edited, scene(), (68, 0, 128, 128))
    # What a model's own autoencoder loses is not the mask's fault.
    assert kept < 12 and painted > 2 * kept, (kept, painted)
    transparent = scene().convert("RGBA")
    transparent.putalpha(mask().getchannel("A"))
    by_alpha = client.images.edit(model=MODEL, image=png(transparent), prompt="a green star", extra_body=options)
    assert distance(picture(by_alpha.data[0].b64_json), scene(), (0, 0, 60, 128)) < 12


def test_an_edit_can_be_streamed(client):
    stream = client.images.edit(model=MODEL, image=[png(scene())], prompt="a green star", stream=True, partial_images=1)
    assert [event.type for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


def test_variations_of_a_picture(client):
    reply = client.images.create_variation(model=MODEL, image=png(scene()), n=2, response_format="b64_json")
    one, other = (picture(image.b64_json) for image in reply.data)
    assert one.size == other.size == (128, 128)
    assert one.tobytes() != other.tobytes()


def test_the_best_of_several(client):
    options = {"best_of": 4, "seed": 1, "steps": 4}
    best = client.images.generate(model=MODEL, prompt=PROMPT, extra_body=options)
    ranked = client.images.generate(model=MODEL, prompt=PROMPT, n=4, extra_body=options)
    scores = [image.to_dict()["score"] for image in ranked.data]
    assert scores == sorted(scores, reverse=True) and len(best.data) == 1
    assert best.data[0].b64_json == ranked.data[0].b64_json


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 11}, "n"),
        ({"size": "7x7"}, "size"),
        ({"background": "transparent"}, "background"),
        ({"output_compression": 200, "output_format": "jpeg"}, "output_compression"),
        ({"extra_body": {"scheduler": "NoSuchScheduler"}}, "scheduler"),
        ({"extra_body": {"steps": 100_000}}, "steps"),
    ],
)
def test_what_cannot_be_had_is_a_bad_request_that_names_it(client, more, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.images.generate(model=MODEL, prompt=PROMPT, **more)
    assert refused.value.param == param


def test_bad_images_are_bad_requests(client):
    small = scene().resize((64, 64))
    for images, more, param in [
        ([png(scene())] * 17, {}, "image"),
        (png(scene()), {"mask": png(small)}, "mask"),
        (png(scene()), {"mask": ("mask.png", bytes(20 << 20), "image/png")}, "mask"),
        (png(scene()), {"mask": ("mask.png", empty(), "image/png")}, "mask"),
        (("image.png", b"nonsense", "image/png"), {}, "image"),
    ]:
        with pytest.raises(openai.BadRequestError) as refused:
            client.images.edit(model=MODEL, image=images, prompt=PROMPT, **more)
        assert refused.value.param == param
