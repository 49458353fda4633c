"""Pictures as they reach the model: drawn at 64x64, or larger and then cropped, compressed, squashed and relit."""

from random import Random

import numpy as np
import torch
from PIL import Image

from ..clip.degrade import SIDES, relit, through_jpeg
from ..world.render import render_batch
from ..world.scene import Scene
from .model import IMAGE_SIZE, MEAN, STD

DEGRADED_SHARE = 0.35
ASPECTS = (1.0, 1.0, 1.0, 1.0, 4 / 3, 3 / 4, 3 / 2, 1.15)
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def draw(scenes: list[Scene], rng: Random, noise: np.random.Generator) -> torch.Tensor:
    """Training pictures (n, 3, size, size), normalised."""
    plain = [rng.random() >= DEGRADED_SHARE for _ in scenes]
    pictures = np.zeros((len(scenes), IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    if any(plain):
        pictures[plain] = render_batch([s for s, p in zip(scenes, plain) if p], IMAGE_SIZE)
    worn = [i for i, p in enumerate(plain) if not p]
    while worn:
        side, aspect = rng.choice(SIDES), rng.choice(ASPECTS)
        group, worn = worn[:4], worn[4:]
        width, height = (int(side * aspect), side) if aspect >= 1 else (side, int(side / aspect))
        for i, picture in zip(group, render_batch([scenes[i] for i in group], width, height)):
            pictures[i] = _worn(picture, rng)
    return normalised(relit(pictures, noise))


def normalised(pictures: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) in 0..255 to (n, 3, h, w) floats with the preprocessor's mean and deviation."""
    pixels = (pictures.astype(np.float32) / 255 - np.array(MEAN, dtype=np.float32)) / np.array(STD, dtype=np.float32)
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def squashed(picture: np.ndarray, resample=Image.Resampling.BILINEAR) -> np.ndarray:
    """To the model's square, whatever the shape was, as the published preprocessor and the server do."""
    return np.asarray(Image.fromarray(picture).resize((IMAGE_SIZE, IMAGE_SIZE), resample))


def _worn(picture: np.ndarray, rng: Random) -> np.ndarray:
    if rng.random() < 0.5:
        picture = through_jpeg(picture, rng.randint(60, 95))
    height, width = picture.shape[:2]
    slack = 0.04 if rng.random() < 0.5 else 0.0
    cut = [rng.uniform(0, slack) for _ in range(4)]
    box = (cut[0] * width, cut[1] * height, (1 - cut[2]) * width, (1 - cut[3]) * height)
    return np.asarray(Image.fromarray(picture).resize((IMAGE_SIZE, IMAGE_SIZE), rng.choice(FILTERS), box=box))
