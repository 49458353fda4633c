"""Pictures for the VAE: whole scenes, or windows around their objects, with and without noise.

Batch number n of a seed is always the same, so a resumed run sees what it would have seen.
"""

from dataclasses import replace
from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..clip.families import sample_training_scene
from ..world.render import render_batch
from ..world.scene import Scene
from .model import SIDE

NOISY_SHARE = 0.4
LOUDEST = 0.06  # half-width of the noise, 0..1 scale
WINDOWS = 2  # of each scene


class Pictures(Dataset):
    """Item n: {"clean", "noisy"}, both (batch, 3, side, side) in -1..1.

    With `side` below `SIDE`, windows of that many pixels: most of a picture is even background, and the VAE learns
    from edges. The even windows of a batch stand around an object.
    """

    def __init__(self, batch: int, side: int, seed: int):
        self.batch, self.side, self.seed = batch, side, seed

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng, noise = Random(f"{self.seed}/{step}"), np.random.default_rng((self.seed, step))
        each = WINDOWS if self.side < SIDE else 1
        scenes = [still(sample_training_scene(rng)) for _ in range(self.batch // each)]
        clean = signed(render_batch(scenes, SIDE))
        if self.side < SIDE:
            clean = torch.stack([_window(picture, scene, rng, self.side, k == 0)
                                 for picture, scene in zip(clean, scenes) for k in range(each)])
        loud = noise.random((len(clean), 1, 1, 1)) * LOUDEST * 2 * (noise.random((len(clean), 1, 1, 1)) < NOISY_SHARE)
        hiss = (noise.random(clean.shape, dtype=np.float32) * 2 - 1) * loud.astype(np.float32)
        return {"clean": clean, "noisy": (clean + torch.from_numpy(hiss)).clamp(-1, 1)}


def still(scene: Scene) -> Scene:
    """The scene without its noise, which neither latents nor drawings need."""
    return replace(scene, background=replace(scene.background, noise=0.0))


def signed(pictures: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) in 0..255 to (n, 3, h, w) floats in -1..1."""
    return torch.from_numpy((pictures.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2).copy())


def _window(picture, scene, rng, side, around) -> torch.Tensor:
    """(3, side, side) from a picture, around one of its objects or anywhere."""
    middle = (SIDE - side) / 2
    left, top = middle * (1 + rng.uniform(-1, 1)), middle * (1 + rng.uniform(-1, 1))
    if around:
        obj, slack = rng.choice(scene.objects), side / 5
        left, top = (c * SIDE - side / 2 + rng.uniform(-slack, slack) for c in (obj.x, obj.y))
    left, top = (min(SIDE - side, max(0, round(c))) for c in (left, top))
    return picture[:, top:top + side, left:left + side]
