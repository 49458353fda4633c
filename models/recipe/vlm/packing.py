"""Conversations as tokens: how a branch is spelt, and how a sequence is filled with the branches of one sample."""

from dataclasses import dataclass, field
from random import Random

from .copying import ASKED, HEAD, copied, pointers
from .dialogue import ANSWER, ASK, END, PICTURE, TOLD, Sample, Turn
from .gaze import answered, meant, outer, references, targets
from .model import IMAGE_TOKENS
from .tokenizer import FAKE, GLOBAL, IMAGE, PAD

SHOWN = FAKE + GLOBAL + IMAGE * IMAGE_TOKENS + FAKE
IGNORED = -100
NAMING = ("at place", "beyond", "compared")  # families whose answers name objects that the question doesn't
NOT_ABOUT_SHAPES = ("refusal", "no picture", "json", "tool call", "tool result")


@dataclass
class Spelt:
    """Tokens, and what training wants of them; every list is as long as `ids` but the marks.

    target: the next token where it is the assistant's, else -100. weight: one over the square root
    of the length of the answer. ends: (token, want, question) of references. roles: (last token before
    an answer, first and last reference). begins: (that token, the answer) where objects are named. copies:
    (token that says the next, token of the sequence's head or else of the branch, whether of the head).
    """

    ids: list[int] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    ends: list[tuple] = field(default_factory=list)
    roles: list[tuple[int, int, int]] = field(default_factory=list)
    begins: list[tuple[int, str]] = field(default_factory=list)
    copies: list[tuple[int, int, bool]] = field(default_factory=list)


@dataclass
class Packed:
    """One sequence. places: positions, which every branch counts on from the head. branch: 0 the head, -1 padding.
    shown: which scenes its image tokens show. marks: (token, targets, meant); answers: (token, targets). roles as `Spelt` has them. copies: (token that says the next, where it stands)."""

    ids: list[int]
    places: list[int]
    target: list[int]
    weight: list[float]
    branch: list[int]
    shown: list[int]
    marks: list[tuple] = field(default_factory=list)
    answers: list[tuple] = field(default_factory=list)
    roles: list[tuple[int, int, int]] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)


def pack(tokenizer, made: Sample, length: int, rng: Random) -> Packed:
    """One sequence of `length` tokens, filled with branches as long as they fit."""
    ids = encode(tokenizer, made.head)
    start = len(ids)
    row = Packed(list(ids), list(range(start)), [IGNORED] * start, [0.0] * start, [0] * start, list(made.shown))
    number = 0
    while True:
        turns = made.branch(rng)
        part = spell(tokenizer, turns, made.head)
        if len(row.ids) + len(part.ids) > length:
            if len(row.ids) > length - 40 or number == 0:
                break
            turns = turns[:1]
            part = spell(tokenizer, turns, made.head)
            if len(row.ids) + len(part.ids) > length:
                break
        number += 1
        _append(row, part, made, number, start)
        row.shown += [p for t in turns for p in t.pictures]
    rest = length - len(row.ids)
    row.ids += [tokenizer.token_to_id(PAD)] * rest
    row.places += [0] * rest
    row.target += [IGNORED] * rest
    row.weight += [0.0] * rest
    row.branch += [-1] * rest
    return row


def _append(row: Packed, part: Spelt, made: Sample, number: int, start: int) -> None:
    at = len(row.ids)
    if len(made.shown) == len(made.scenes):
        row.marks += [(at + i, targets(want, made.scenes, text), meant(want, made.scenes, text)) for i, want, text in part.ends]
        row.answers += [(at + i, answered(made.scenes, text)) for i, text in part.begins]
    row.roles += [(at + i, at + first, at + last) for i, first, last in part.roles]
    row.copies += [(at + i, k if of_head else at + k) for i, k, of_head in part.copies]
    row.ids += part.ids
    row.target += part.target
    row.weight += part.weight
    row.places += range(start, start + len(part.ids))
    row.branch += [number] * len(part.ids)


def spell(tokenizer, turns: list[Turn], head: str) -> Spelt:
    """The tokens of a branch after `head`."""
    part, said = Spelt(), []  # said: whether a token is the assistant's
    for k, turn in enumerate(turns):
        asked = _asked(turn, k, head)
        question = tokenizer.encode(spelt(asked + END + ANSWER), add_special_tokens=False)
        answer = tokenizer.encode(f" {turn.answer}{END}", add_special_tokens=False)
        at = len(part.ids)
        if turn.family not in NOT_ABOUT_SHAPES:
            before, begin = len(spelt(asked)) - len(turn.question), at + len(question.ids) - 1
            ends = []
            for end, want in references(turn.question):
                token = next(i for i, (a, b) in enumerate(question.offsets) if a < before + end <= b)
                ends.append((at + token, want, turn.question))
            part.ends += ends
            if ends:
                part.roles.append((begin, *outer(ends)))
            if turn.family in NAMING:
                part.begins.append((begin, turn.answer))
        if turn.calls or turn.results:
            sources = {HEAD: tokenizer.encode(spelt(head), add_special_tokens=False).offsets, ASKED: question.offsets}
            spans = [(a - 1, b - 1) for a, b in answer.offsets]  # the space before the answer doesn't count
            for i, where, token in pointers(copied(turn, head, spelt(asked)), spans, sources):
                part.copies.append((at + len(question.ids) + i - 1, token if where == HEAD else at + token, where == HEAD))
        part.ids += question.ids + answer.ids
        part.weight += [len(answer.ids) ** -0.5] * (len(question.ids) + len(answer.ids))
        said += [False] * len(question.ids) + [not _dictated(turn, span) for span in answer.offsets]
    part.target = [i if s else IGNORED for i, s in zip(part.ids[1:], said[1:])] + [IGNORED]
    return part


def _asked(turn: Turn, k: int, head: str) -> str:
    if turn.results:
        return f"{END}".join(f"{TOLD} {r}" for r in turn.results)
    if k:
        return ASK + PICTURE * len(turn.pictures) + ("" if turn.pictures else " ") + turn.question
    return turn.question if head.endswith(PICTURE) else f" {turn.question}"


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
