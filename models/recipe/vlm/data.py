"""Training batches: batch number n of a seed is always the same, so a resumed run sees what it would have seen."""

from random import Random

import numpy as np
import torch
from torch.utils.data import Dataset

from ..clip.targets import image_targets
from .dialogue import ANSWER, ASK, END, PICTURE, TOLD, Mix, Sample, Turn, sample
from .gaze import COUNTS, SEEN, TRAITS, meant, references, targets, token_traits
from .model import IMAGE_TOKENS
from .pictures import draw
from .tokenizer import FAKE, GLOBAL, IMAGE, PAD, SPECIALS

SHOWN = FAKE + GLOBAL + IMAGE * IMAGE_TOKENS + FAKE
IGNORED = -100
NOT_ABOUT_SHAPES = ("refusal", "no picture", "json", "tool call", "tool result")


class Batches(Dataset):
    """Item n: a dict of tensors for step n, b sequences of `length` tokens.

    pixels (m, 3, size, size) of all scenes; order (k,) which of them fill the image tokens, in the
    order of the text; ids, places (b, length); target (b, length) the next token where it is the
    assistant's, else -100; branch (b, length): 0 the head, 1.. the branches, -1 padding;
    weight (b, length): one over the square root of the length of the answer that a token is of;
    gaze_from (m, 2): row and place of the end of a reference, gaze_at (m, SEEN) the places that it
    may look at, gaze (m, SEEN) whether it should, meant (m, 7) as `gaze.meant` says what it refers to; token_traits as in `gaze`;
    image_patches, image_cells as `clip.targets` has them.
    """

    def __init__(self, tokenizer, batch: int, length: int, seed: int, mix: Mix = Mix()):
        self.tokenizer, self.batch, self.length, self.seed, self.mix = tokenizer, batch, length, seed, mix

    def __getitem__(self, step: int) -> dict[str, torch.Tensor]:
        rng = Random(f"{self.seed}/{step}")
        scenes, order, rows, gaze = [], [], [], []
        for _ in range(self.batch):
            made = sample(rng, mix=self.mix)
            row, shown, marks = pack(self.tokenizer, made, self.length, rng)
            gaze += [(len(rows), *mark) for mark in marks]
            order += [len(scenes) + i for i in shown]
            scenes += made.scenes
            rows.append(row)
        ids, places, target, branch, weight = (torch.tensor(column) for column in zip(*rows))
        return {
            "pixels": draw(scenes, rng, np.random.default_rng((self.seed, step))), "order": torch.tensor(order),
            "ids": ids, "places": places, "target": target, "branch": branch, "weight": weight, **_gaze(gaze, ids), **image_targets(scenes),
            "token_traits": token_traits(scenes),
        }


def pack(tokenizer, made: Sample, length: int, rng: Random) -> tuple[tuple[list, ...], list[int], list]:
    """One sequence filled with branches: (ids, places, target, branch, weight), which scenes its image tokens show,
    and the ends of references with where to look."""
    ids = encode(tokenizer, made.head)
    shown, places, target, branch = list(made.shown), list(range(len(ids))), [IGNORED] * len(ids), [0] * len(ids)
    start, number = len(ids), 0
    weight, marks = [0.0] * len(ids), []
    while True:
        turns = made.branch(rng)
        tokens, wanted, weights, ends = spell(tokenizer, turns, bool(made.shown))
        if len(ids) + len(tokens) > length:
            if len(ids) > length - 40 or number == 0:
                break
            turns = turns[:1]
            tokens, wanted, weights, ends = spell(tokenizer, turns, bool(made.shown))
            if len(ids) + len(tokens) > length:
                break
        number += 1
        if len(made.shown) == len(made.scenes):
            marks += [(len(ids) + i, targets(want, made.scenes, text), meant(want, made.scenes, text)) for i, want, text in ends]
        weight += weights
        ids, target = ids + tokens, target + wanted
        places, branch = places + list(range(start, start + len(tokens))), branch + [number] * len(tokens)
        shown += [p for t in turns for p in t.pictures]
    rest = length - len(ids)
    pad = tokenizer.token_to_id(PAD)
    return (ids + [pad] * rest, places + [0] * rest, target + [IGNORED] * rest, branch + [-1] * rest, weight + [0.0] * rest), shown, marks


def spell(tokenizer, turns: list[Turn], after_picture: bool) -> tuple[list[int], list[int], list[float], list]:
    """The tokens of a branch; for each the next one where that is the assistant's, and its weight; and the references
    in its questions: (place of the last token, what is asked for, the question)."""
    ids, said, weight, ends = [], [], [], []  # said: whether a token is the assistant's
    for k, turn in enumerate(turns):
        if turn.results:
            asked = f"{END}".join(f"{TOLD} {r}" for r in turn.results)
        elif k:
            asked = ASK + PICTURE * len(turn.pictures) + ("" if turn.pictures else " ") + turn.question
        else:
            asked = turn.question if after_picture else f" {turn.question}"
        before = len(spelt(asked)) - len(turn.question)
        question = tokenizer.encode(spelt(asked + END + ANSWER), add_special_tokens=False)
        if turn.family not in NOT_ABOUT_SHAPES and not turn.results:
            for end, want in references(turn.question):
                ends.append((len(ids) + next(i for i, (a, b) in enumerate(question.offsets) if a < before + end <= b), want, turn.question))
        answer = tokenizer.encode(f" {turn.answer}{END}", add_special_tokens=False)
        ids += question.ids + answer.ids
        weight += [len(answer.ids) ** -0.5] * (len(question.ids) + len(answer.ids))
        said += [False] * len(question.ids) + [not _dictated(turn, span) for span in answer.offsets]
    wanted = [i if s else IGNORED for i, s in zip(ids[1:], said[1:])] + [IGNORED]
    return ids, wanted, weight, ends


def _gaze(marks: list, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    at = torch.zeros(len(marks), SEEN, dtype=torch.long)
    for m, (row, *_) in enumerate(marks):
        shown = (ids[row] == SPECIALS.index(IMAGE)).nonzero()[:SEEN - 1, 0]
        at[m, 1:1 + len(shown)] = shown
    return {
        "gaze_from": torch.tensor([(row, spot) for row, spot, *_ in marks]).view(-1, 2), "gaze_at": at,
        "gaze": torch.tensor([shown for *_, shown, _ in marks]).view(-1, SEEN),
        "meant": torch.tensor([of for *_, of in marks]).view(-1, len(TRAITS) + len(COUNTS)),
    }


def _dictated(turn: Turn, span: tuple[int, int]) -> bool:
    """Whether a token begins in what is dictated; spans count from the space before the answer."""
    begin = max(span[0] - 1, 0)
    return any(a <= begin < b for a, b in turn.dictated)


def encode(tokenizer, text: str) -> list[int]:
    """Token ids of the text as the processor spells it."""
    return tokenizer.encode(spelt(text), add_special_tokens=False).ids


def spelt(text: str) -> str:
    """With every picture's marker spelt out as the processor does it."""
    return text.replace(PICTURE, SHOWN)


def looks(branch: torch.Tensor) -> torch.Tensor:
    """(b, 1, length, length) bool: a token looks at the head and, in its own branch, at what came before."""
    same = (branch[:, :, None] == branch[:, None, :]) | (branch[:, None, :] == 0)
    return (same & torch.ones(branch.shape[1], branch.shape[1], dtype=torch.bool).tril())[:, None]
