"""Makes `pixels/`: small image files of many kinds, and what the reference makes of each with the bundled model.

    python tests/golden/make_pixels.py

The reference: Pillow decodes the file and turns it upright, what is transparent goes over white, transformers'
Pillow-backed image processor resizes and cuts, and its CLIPModel embeds in float32. Needs torch, transformers 5,
Pillow 13 and numpy; everything is seeded.
"""

from __future__ import annotations

import json
import pathlib
import random
import sys

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers import CLIPImageProcessorPil, CLIPModel

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "shapes-clip"
OUT = pathlib.Path(__file__).parent / "pixels"
LARGEST = 20_000
ORIENTATION = 0x0112
sys.path.insert(0, str(ROOT / "models"))

from recipe.world.render import render  # noqa: E402
from recipe.world.scene import sample_scene  # noqa: E402


def scene(seed: int, width: int, height: int) -> Image.Image:
    """A picture of the model's world."""
    return Image.fromarray(render(sample_scene(random.Random(seed)), width, height))


def gradient(width: int, height: int) -> Image.Image:
    """Each channel rises in a direction of its own."""
    x, y = np.linspace(0, 255, width)[None, :], np.linspace(0, 255, height)[:, None]
    channels = np.broadcast_arrays(x + 0 * y, y + 0 * x, 255 - (x + y) / 2)
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def noise(width: int, height: int) -> Image.Image:
    """Every value at random."""
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def faded(picture: Image.Image) -> Image.Image:
    """With alpha that falls from left to right, and a hole."""
    width, height = picture.size
    alpha = np.tile(np.linspace(255, 20, width).astype(np.uint8), (height, 1))
    alpha[height // 2 :, : width // 4] = 0
    picture.putalpha(Image.fromarray(alpha))
    return picture


def write_files():
    """The files, each of another kind and mostly of another shape."""
    yuv420 = {"quality": 88, "subsampling": "4:2:0"}
    scene(1, 320, 240).save(OUT / "scene-420.jpg", **yuv420)
    scene(2, 201, 299).save(OUT / "odd-420-progressive.jpg", progressive=True, **yuv420)
    scene(3, 200, 300).save(OUT / "scene-444.jpg", quality=80, subsampling="4:4:4")
    for seed, turned in ((4, 3), (5, 5), (6, 6), (7, 8)):
        exif = Image.Exif()
        exif[ORIENTATION] = turned
        scene(seed, 320, 200).save(OUT / f"exif-{turned}.jpg", exif=exif, **yuv420)
    scene(8, 240, 160).convert("L").save(OUT / "grey.jpg", quality=85)
    scene(9, 90, 130).convert("L").save(OUT / "grey.png")
    gradient(180, 120).save(OUT / "gradient.png")
    faded(scene(12, 105, 66)).save(OUT / "alpha.png")
    noise(80, 61).save(OUT / "noise.png")


def reference_image(path: pathlib.Path) -> Image.Image:
    """Upright, over white, RGB."""
    upright = ImageOps.exif_transpose(Image.open(path))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return upright.convert("RGB")


@torch.inference_mode()
def embed(paths: list[pathlib.Path]) -> list[list[float]]:
    """What the reference makes of each file: unit vectors."""
    processor = CLIPImageProcessorPil.from_pretrained(MODEL)
    model = CLIPModel.from_pretrained(MODEL, dtype=torch.float32).eval()
    pixels = processor([reference_image(path) for path in paths], return_tensors="pt")["pixel_values"]
    vectors = torch.nn.functional.normalize(model.get_image_features(pixels).pooler_output, dim=-1)
    return [[round(value, 6) for value in row] for row in vectors.tolist()]


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    write_files()
    paths = sorted(OUT.iterdir())
    large = [path.name for path in paths if path.stat().st_size > LARGEST]
    if large:
        sys.exit(f"larger than {LARGEST} bytes: {large}")
    rows = [f'  {json.dumps(path.name)}: {json.dumps(vector)}' for path, vector in zip(paths, embed(paths))]
    (OUT / "expected.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")


if __name__ == "__main__":
    main()
