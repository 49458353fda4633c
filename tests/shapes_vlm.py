"""The bundled shapes-vlm: what transformers makes of 120 conversations with it (`golden/make_shapes_vlm.py`), as requests."""

from __future__ import annotations

import base64
import functools
import io
import json
import pathlib
import zlib

from PIL import Image

from conftest import ROOT

MODEL = "shapes-vlm"
ALIAS = "gpt-4o"
WEIGHTS = ROOT / "models" / "shapes-vlm" / "model.safetensors"
FOLDER = pathlib.Path(__file__).resolve().parent / "golden" / "shapes-vlm"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
PROMPTS = EXPECTED["prompts"]
REGISTRY = f"""
[[model]]
id = "{MODEL}"
aliases = ["{ALIAS}"]
plugin = "mistralrs"
source = {{ path = "{ROOT}/models/shapes-vlm" }}
load = "eager"
dtype = "f32"
"""
# Ids of the tokens that end a reply: with this bias it goes on until `max_tokens`.
ENDLESS = {str(id): -100 for id in EXPECTED["ends"]}


def check_weights() -> None:
    """Fails if the expectations were made with other weights."""
    made_with = zlib.adler32(WEIGHTS.read_bytes())
    assert made_with == EXPECTED["weights"], "the weights have changed: run tests/golden/make_shapes_vlm.py"


@functools.cache
def sheet() -> Image.Image:
    return Image.open(FOLDER / "pictures.png").convert("RGB")


@functools.cache
def picture(number: int, scale: int = 1, kind: str = "png") -> str:
    """A picture of the sheet as a data URI; `scale` makes its pixels larger."""
    side = EXPECTED["side"]
    row, column = divmod(number, EXPECTED["columns"])
    tile = sheet().crop((column * side, row * side, (column + 1) * side, (row + 1) * side))
    return data_uri(tile.resize((side * scale, side * scale), Image.Resampling.NEAREST), kind)


def data_uri(image: Image.Image, kind: str = "png") -> str:
    out = io.BytesIO()
    image.save(out, kind)
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode()}"


def image_part(uri: str, **more) -> dict:
    return {"type": "image_url", "image_url": {"url": uri, **more}}


def text_part(text: str) -> dict:
    return {"type": "text", "text": text}


def messages(prompt: dict) -> list[dict]:
    """An expected conversation as a client sends it."""
    made = []
    for message in prompt["messages"]:
        parts = [text_part(part) if isinstance(part, str) else image_part(picture(part)) for part in message["parts"]]
        plain = len(parts) == 1 and parts[0]["type"] == "text"
        made.append({"role": message["role"], "content": parts[0]["text"] if plain else parts})
    return made


def ask(text: str, *pictures: int) -> list[dict]:
    """One message of the user."""
    return [{"role": "user", "content": [*(image_part(picture(number)) for number in pictures), text_part(text)]}]


def longest() -> dict:
    """The expected sentence with the most tokens."""
    sentences = (prompt for prompt in PROMPTS if prompt["text"].strip()[0].isalpha())
    return max(sentences, key=lambda prompt: prompt["completion_tokens"])
