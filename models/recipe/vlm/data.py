"""Training batches: batch number n of a seed is always the same, so a resumed run sees what it would have seen."""

from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..clip.targets import image_targets
from .dialogue import ANSWER, ASK, END, PICTURE, TOLD, Sample, Turn, sample
from .model import IMAGE_TOKENS
from .pictures import draw
from .tokenizer import FAKE, GLOBAL, IMAGE, PAD

SHOWN = FAKE + GLOBAL + IMAGE * IMAGE_TOKENS + FAKE
IGNORED = -100


class Batches(Dataset):
    """Item n: a dict of tensors for step n, b sequences of `length` tokens.

    pixels (m, 3, size, size) of all scenes; order (k,) which of them fill the image tokens, in the
    order of the text; ids, places (b, length); target (b, length) the next token where it is the
    assistant's, else -100; branch (b, length): 0 the head, 1.. the branches, -1 padding;
    image_patches, image_cells as `clip.targets` has them.
    """

    def __init__(self, tokenizer, batch: int, length: int, seed: int):
        self.tokenizer, self.batch, self.length, self.seed = tokenizer, batch, length, seed

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = Random(f"{self.seed}/{step}")
        scenes, order, rows = [], [], []
        for _ in range(self.batch):
            made = sample(rng)
            row, shown = pack(self.tokenizer, made, self.length, rng)
            order += [len(scenes) + i for i in shown]
            scenes += made.scenes
            rows.append(row)
        ids, places, target, branch = (torch.tensor(column) for column in zip(*rows))
        return {
            "pixels": draw(scenes, rng, np.random.default_rng((self.seed, step))), "order": torch.tensor(order),
            "ids": ids, "places": places, "target": target, "branch": branch, **image_targets(scenes),
        }


def pack(tokenizer, made: Sample, length: int, rng: Random) -> tuple[tuple[list[int], ...], list[int]]:
    """One sequence filled with branches: (ids, places, target, branch), and which scenes its image tokens show."""
    ids = encode(tokenizer, made.head)
    shown, places, target, branch = list(made.shown), list(range(len(ids))), [IGNORED] * len(ids), [0] * len(ids)
    start, number = len(ids), 0
    while True:
        turns = made.branch(rng)
        tokens, wanted = spell(tokenizer, turns, bool(made.shown))
        if len(ids) + len(tokens) > length:
            if len(ids) > length - 40 or number == 0:
                break
            turns = turns[:1]
            tokens, wanted = spell(tokenizer, turns, bool(made.shown))
            if len(ids) + len(tokens) > length:
                break
        number += 1
        ids, target = ids + tokens, target + wanted
        places, branch = places + list(range(start, start + len(tokens))), branch + [number] * len(tokens)
        shown += [p for t in turns for p in t.pictures]
    rest = length - len(ids)
    pad = tokenizer.token_to_id(PAD)
    return (ids + [pad] * rest, places + [0] * rest, target + [IGNORED] * rest, branch + [-1] * rest), shown


def spell(tokenizer, turns: list[Turn], after_picture: bool) -> tuple[list[int], list[int]]:
    """The tokens of a branch and for each the next one where that is the assistant's."""
    ids, said = [], []  # said: whether a token is the assistant's
    for k, turn in enumerate(turns):
        if turn.results:
            asked = f"{END}".join(f"{TOLD} {r}" for r in turn.results)
        elif k:
            asked = ASK + PICTURE * len(turn.pictures) + ("" if turn.pictures else " ") + turn.question
        else:
            asked = turn.question if after_picture else f" {turn.question}"
        question = encode(tokenizer, asked + END + ANSWER)
        answer = tokenizer.encode(f" {turn.answer}{END}", add_special_tokens=False)
        ids += question + answer.ids
        said += [False] * len(question) + [not _dictated(turn, span) for span in answer.offsets]
    wanted = [i if s else IGNORED for i, s in zip(ids[1:], said[1:])] + [IGNORED]
    return ids, wanted


def _dictated(turn: Turn, span: tuple[int, int]) -> bool:
    """Whether a token begins in what is dictated; spans count from the space before the answer."""
    begin = max(span[0] - 1, 0)
    return any(a <= begin < b for a, b in turn.dictated)


def encode(tokenizer, text: str) -> list[int]:
    """Token ids, a picture's marker spelt out as the processor does it."""
    return tokenizer.encode(text.replace(PICTURE, SHOWN), add_special_tokens=False).ids


def looks(branch: torch.Tensor) -> torch.Tensor:
    """(b, 1, length, length) bool: a token looks at the head and, in its own branch, at what came before."""
    same = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
    return (same & torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril())[:, None]
