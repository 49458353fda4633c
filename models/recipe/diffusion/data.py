"""Training batches for the UNet: batch number n of a seed is always the same, so a resumed run sees what it would have seen."""

from pathlib import Path
from random import Random

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.utils.data import Dataset

from ..clip.targets import image_targets
from ..world.claims import MAX_OBJECTS
from ..world.scene import Scene
from .attend import DIRECTED, GROUND, NOBODY, owners
from .latents import shard_scenes
from .model import TOKENS
from .prompts import named_at, prompt

SILENT_SHARE = 0.1  # prompts left empty, for guidance: Ho and Salimans, https://arxiv.org/abs/2207.12598


class Latents:
    """The encoded scenes of a folder, and which of them show one, two and three objects."""

    def __init__(self, folder: Path, seed: int, shards: int):
        self.latents = np.concatenate([np.load(folder / f"{k}.npy") for k in range(shards)])
        self.scenes = [s for k in range(shards) for s in shard_scenes(seed, k)]
        counts = np.array([len(s.objects) for s in self.scenes])
        self.by_count = [np.flatnonzero(counts == n) for n in range(1, MAX_OBJECTS + 1)]


class Batches(Dataset):
    """Item n: latents (b, 4, 16, 16) f32; ids (b, TOKENS); words and owners as `attend.Watch` has them; names (b, 64, 3).

    mix: how often scenes of one, two and three objects come.
    """

    def __init__(self, store: Latents, tokenizer: Tokenizer, batch: int, seed: int, mix: tuple[float, float, float]):
        self.store, self.tokenizer, self.batch, self.seed, self.mix = store, tokenizer, batch, seed, mix

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = Random(f"{self.seed}/{step}")
        chosen = [int(rng.choice(self.store.by_count[n])) for n in rng.choices(range(MAX_OBJECTS), self.mix, k=self.batch)]
        scenes = [self.store.scenes[i] for i in chosen]
        texts = ["" if rng.random() < SILENT_SHARE else prompt(s, rng).text for s in scenes]
        ids, words = spelt(self.tokenizer, texts, scenes)
        spoken = words[:, :MAX_OBJECTS].any(2)  # which objects some word means
        spoken = np.concatenate([spoken, np.ones((self.batch, 1), dtype=bool)], axis=1)
        batch = {"latents": torch.from_numpy(self.store.latents[chosen].astype(np.float32)), "ids": torch.from_numpy(ids),
                 "words": torch.from_numpy(words.astype(np.float32)), "names": image_targets(scenes)["image_patches"]}
        for grid in sorted(set(DIRECTED.values())):
            owner = owners(scenes, grid)
            batch[f"owner_{grid}"] = torch.from_numpy(np.where(np.take_along_axis(spoken, owner, axis=1), owner, NOBODY))
        return batch


def spelt(tokenizer: Tokenizer, texts: list[str], scenes: list[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """Token ids (n, TOKENS), the rest filled with the end marker; and words (n, 4, TOKENS) bool, which tokens end the
    words for each object; the first token stands for the ground."""
    words = np.zeros((len(texts), MAX_OBJECTS + 1, TOKENS), dtype=bool)
    words[:, GROUND, 0] = True
    ids = np.empty((len(texts), TOKENS), dtype=np.int64)
    for n, (encoding, text) in enumerate(zip(tokenizer.encode_batch(texts), texts)):
        row = encoding.ids[:TOKENS - 1]
        ids[n] = row + [encoding.ids[-1]] * (TOKENS - len(row))
        ends = {end: k for k, (_, end) in enumerate(encoding.offsets[:TOKENS - 1]) if k}
        for end, obj in named_at(text, scenes[n]):
            if end in ends:
                words[n, obj, ends[end]] = True
    return ids, words
