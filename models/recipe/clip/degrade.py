"""What happens to pictures on their way to a server: other sizes, crops, JPEG, light, noise.

All in and out as uint8 sRGB.
"""

import io
from random import Random

import numpy as np
from PIL import Image

from ..world.render import render_batch
from ..world.scene import Scene

SIDES = (96, 128, 160, 192, 256)
SIDE_SHARES = (0.3, 0.3, 0.2, 0.1, 0.1)


def resized(scenes: list[Scene], rng: Random, size: int) -> np.ndarray:
    """Scenes drawn larger, cropped askew by a few per cent, perhaps through JPEG, then resized to
    (n, size, size, 3) as the preprocessor does (Pillow, bicubic)."""
    side = rng.choices(SIDES, SIDE_SHARES)[0]
    return np.stack([_resized(picture, rng, size) for picture in render_batch(scenes, side)])


def relit(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture with its own small change of brightness, contrast and colour balance."""
    shape = (len(pictures), 1, 1, 1)
    gain = rng.uniform(0.88, 1.12, shape) * rng.uniform(0.97, 1.03, (len(pictures), 1, 1, 3))
    shift = rng.uniform(-12, 12, shape)
    return np.clip((pictures - 127.5) * gain.astype(np.float32) + (127.5 + shift).astype(np.float32), 0, 255)


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """The picture as JPEG of the given quality gives it back."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _resized(picture: np.ndarray, rng: Random, size: int) -> np.ndarray:
    if rng.random() < 0.5:
        picture = through_jpeg(picture, rng.randint(60, 95))
    side = picture.shape[0]
    slack = 0.04 * side if rng.random() < 0.6 else 0.0
    box = [rng.uniform(0, slack), rng.uniform(0, slack), side - rng.uniform(0, slack), side - rng.uniform(0, slack)]
    return np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC, box=box))
