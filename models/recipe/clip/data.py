"""Training batches: batch number n of a seed is always the same, so a resumed run sees what it would have seen."""

from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..world.captions import caption
from ..world.claims import truth_matrix
from ..world.render import render_batch
from .degrade import relit, resized
from .families import FAMILY, sample_family
from .targets import cover_targets, image_targets, text_targets, thinned

MEAN, STD = (0.5, 0.5, 0.5), (0.3, 0.3, 0.3)
DEGRADED_SHARE = 0.25


class Batches(Dataset):
    """Item n: a dict of tensors for step n (b images and captions; image i belongs to caption i).

    pixels (b, 3, size, size) normalised; ids (b, longest) padded with the end marker; true (b, b)
    whether caption i is true of image j; `image_*` and `text_*` targets of the auxiliary heads, of
    which `image_cover` speaks of the first images only, those drawn at `size` and not askew. With
    `kept`, `kept` (b, kept) holds that many patches of each image and patch targets speak of those alone.
    """

    def __init__(self, tokenizer, size: int, batch: int, seed: int, kept: int | None = None):
        self.tokenizer, self.size, self.batch, self.seed, self.kept = tokenizer, size, batch, seed, kept

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = Random(f"{self.seed}/{step}")
        scenes = [s for _ in range(self.batch // FAMILY) for s in sample_family(rng)]
        captions = [caption(s, rng) for s in scenes]
        plain = int(self.batch * (1 - DEGRADED_SHARE))
        half = (plain + self.batch) // 2
        pictures = np.concatenate([
            render_batch(scenes[:plain], self.size),
            resized(scenes[plain:half], rng, self.size), resized(scenes[half:], rng, self.size),
        ])
        noise = np.random.default_rng((self.seed, step))
        pictures = relit(pictures, noise)
        aims = {**image_targets(scenes), **cover_targets(scenes, self.size)}
        if self.kept:
            aims = thinned(aims, self.kept, noise)
        aims["image_cover"] = aims["image_cover"][:plain]
        return {
            "pixels": normalised(pictures),
            "ids": encoded(self.tokenizer, [c.text for c in captions]),
            "true": torch.from_numpy(truth_matrix([c.claim for c in captions], scenes)),
            **aims,
            **text_targets([c.claim for c in captions]),
        }


def normalised(pictures: np.ndarray) -> torch.Tensor:
    """(n, h, w, 3) in 0..255 to (n, 3, h, w) floats with the preprocessor's mean and deviation."""
    scale = 1 / (255 * np.array(STD, dtype=np.float32))
    pixels = pictures.astype(np.float32) * scale - np.array(MEAN, dtype=np.float32) / np.array(STD, dtype=np.float32)
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())


def encoded(tokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (n, longest), the rest filled with the end marker."""
    rows = [e.ids for e in tokenizer.encode_batch(texts)]
    stop = rows[0][-1]
    longest = max(map(len, rows))
    return torch.tensor([row + [stop] * (longest - len(row)) for row in rows])
