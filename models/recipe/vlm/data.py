"""Training batches: batch number n of a seed is always the same, so a resumed run sees what it would have seen."""

from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..clip.targets import image_targets
from .dialogue import Mix, sample
from .gaze import COUNTS, SEEN, TRAITS, token_traits
from .packing import Packed, pack
from .pictures import draw
from .tokenizer import IMAGE, SPECIALS


class Batches(Dataset):
    """Item n: a dict of tensors for step n, b sequences of `length` tokens.

    pixels (m, 3, size, size) of all scenes; order (k,) which of them fill the image tokens, in the
    order of the text; ids, places, target, weight, branch (b, length) as `packing.Packed` has them;
    gaze_from (m, 2): row and place of the end of a reference, gaze_at (m, SEEN) the places that it
    may look at, gaze (m, SEEN) whether it should, meant (m, 7) as `gaze.meant` says what it refers to;
    answer_from, answer_at, answer: the same of where answers begin; roles (m, 4): row, such a place,
    and those of the first and the last reference before it;
    copy (m, 3): row, the place that says the next token, and the place where that stands already;
    token_traits as in `gaze`; image_patches, image_cells as `clip.targets` has them.
    """

    def __init__(self, tokenizer, batch: int, length: int, seed: int, mix: Mix = Mix()):
        self.tokenizer, self.batch, self.length, self.seed, self.mix = tokenizer, batch, length, seed, mix

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = Random(f"{self.seed}/{step}")
        scenes, order, rows = [], [], []
        for _ in range(self.batch):
            made = sample(rng, mix=self.mix)
            row = pack(self.tokenizer, made, self.length, rng)
            order += [len(scenes) + i for i in row.shown]
            scenes += made.scenes
            rows.append(row)
        lists = {name: torch.tensor([getattr(r, name) for r in rows]) for name in ("ids", "places", "target", "weight", "branch")}
        return {
            "pixels": draw(scenes, rng, np.random.default_rng((self.seed, step))), "order": torch.tensor(order),
            **lists, **_gaze([row.marks for row in rows], "gaze", lists["ids"]), **_gaze([row.answers for row in rows], "answer", lists["ids"]),
            "meant": torch.tensor([of for row in rows for *_, of in row.marks]).view(-1, len(TRAITS) + len(COUNTS)),
            "roles": torch.tensor([(n, *r) for n, row in enumerate(rows) for r in row.roles], dtype=torch.long).view(-1, 4),
            "copy": torch.tensor([(n, *c) for n, row in enumerate(rows) for c in row.copies], dtype=torch.long).view(-1, 3),
            "token_traits": token_traits(scenes), **image_targets(scenes),
        }


def looks(branch: torch.Tensor) -> torch.Tensor:
    """(b, 1, length, length) bool: a token looks at the head and, in its own branch, at what came before."""
    same = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
    return (same & torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril())[:, None]


def _gaze(marks: list[list[tuple]], name: str, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Where to look from, at which places, and whether; `marks` of every row are (place, targets, ...)."""
    marks = [(row, spot, shown) for row, some in enumerate(marks) for spot, shown, *_ in some]
    at = torch.zeros(len(marks), SEEN, dtype=torch.long)
    for m, (row, *_) in enumerate(marks):
        places = (ids[row] == SPECIALS.index(IMAGE)).nonzero()[:SEEN - 1, 0]
        at[m, 1:1 + len(places)] = places
    return {
        f"{name}_from": torch.tensor([(row, spot) for row, spot, _ in marks], dtype=torch.long).view(-1, 2), f"{name}_at": at,
        name: torch.tensor([shown for *_, shown in marks]).view(-1, SEEN),
    }
