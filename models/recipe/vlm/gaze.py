"""Where to look: which image tokens show what the words of a question refer to.

Training may ask one pair of attention heads to look there at the end of each reference ("the small
red circle|", "in the top left|"); two heads of the next layer, where the answer begins, to look at the
first and the last of the references; and two of the last layer at what the answer names. Left to itself,
a model of this size finds out only after a long time that a question's words are to be looked up in the picture.
"""

import re
from dataclasses import replace

import torch

from ..world.claims import Want
from ..world.scene import Object, Scene
from ..world.vocabulary import COLOUR_NAMES, COLOUR_SYNONYMS, SHAPE_SYNONYMS, SHAPES, SIZE_SYNONYMS, SIZES
from .ask import Reference
from .describe import parse
from .model import IMAGE_TOKENS

TRAITS = (1 + len(COLOUR_NAMES), 1 + len(SHAPES), 1 + len(SIZES), 4, 4)  # classes of `traits`
COUNTS = (4, 4)  # classes of how many objects of the first and the second picture fit
GRID = 4  # image tokens along a side
SEEN = 1 + 2 * IMAGE_TOKENS  # the sequence's first token, which stands for nothing, and two pictures


def _forms(names, synonyms) -> dict[str, str]:
    return {form: name for name in names for form in (name, *synonyms.get(name, ()))}


SIZE, COLOUR, SHAPE = _forms(SIZES, SIZE_SYNONYMS), _forms(COLOUR_NAMES, COLOUR_SYNONYMS), _forms(SHAPES, SHAPE_SYNONYMS)
COLUMN = {"left": 0, "right": 2, "top": 1, "bottom": 1, "centre": 1, "center": 1, "middle": 1}
ROW = {"top": 0, "bottom": 2, "left": 1, "right": 1, "centre": 1, "center": 1, "middle": 1}


def _any(words) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


PLACE = r"(?:in the (?P<row>top|bottom) (?P<column>left|right)|at the (?P<high>top|bottom)|on the (?P<side>left|right)(?! of)|in the (?P<middle>centre|center|middle))\b"
NOUN = rf"\b(?:(?P<size>{_any(SIZE)}) )?(?:(?P<colour>{_any(COLOUR)})\b ?)?(?:(?P<shape>{_any(SHAPE)})(?:e?s)?\b|(?:shape|object|thing|figure|one)s?\b)?"
REFERENCE = re.compile(rf"{NOUN}(?P<place> ?{PLACE})?", re.IGNORECASE)


def references(text: str) -> list[tuple[int, Want]]:
    """(where it ends, what it asks for) of every reference; a noun with a place counts without it and with it."""
    found = []
    for m in REFERENCE.finditer(text):
        if not m.group().strip():
            continue
        noun = Want(COLOUR.get((m["colour"] or "").lower()), SHAPE.get((m["shape"] or "").lower()), SIZE.get((m["size"] or "").lower()))
        words = text[m.start():m.start("place") if m["place"] else m.end()].rstrip()
        if words:
            found.append((m.start() + len(words), noun))
        if m["place"]:
            row, column = (m["row"] or m["high"] or m["side"] or m["middle"]), (m["column"] or m["side"] or m["high"] or m["middle"])
            found.append((m.end(), Want(noun.colour, noun.shape, noun.size, COLUMN[column.lower()], ROW[row.lower()])))
    return found


def targets(want: Want, scenes: tuple[Scene, ...], text: str) -> list[bool]:
    """Which of the `SEEN` tokens to look at: those that show what is asked for, or the first where nothing does."""
    shown = [False] * SEEN
    first, second = "first" in text, "second" in text
    for k, scene in enumerate(scenes):
        if first != second and (k == 0) != first:
            continue
        for obj in Reference("", want).among(scene):
            for token in _covered(obj):
                shown[1 + k * IMAGE_TOKENS + token] = True
    shown[0] = not any(shown)
    return shown


def outer(ends: list[tuple]) -> tuple[int, int]:
    """Where the first and the last of `ends` (place, want, ...) end, a noun being one with the place that follows it."""
    whole = [e for e, after in zip(ends, [*ends[1:], None])
             if not (after and after[1].column is not None and replace(after[1], column=None, row=None) == e[1])]
    return whole[0][0], whole[-1][0]


def answered(scenes: tuple[Scene, ...], answer: str) -> list[bool]:
    """Which of the `SEEN` tokens show the objects that an answer names, or the first where it names none."""
    named = parse(answer)
    shown = [False] * SEEN
    for k, scene in enumerate(scenes):
        for obj in scene.objects:
            if obj.pair in named:
                for token in _covered(obj):
                    shown[1 + k * IMAGE_TOKENS + token] = True
    shown[0] = not any(shown)
    return shown


def meant(want: Want, scenes: tuple[Scene, ...], text: str) -> list[int]:
    """`traits` of the one object that is meant, all -100 where it is none or several; and how many fit in either picture."""
    first, second = "first" in text, "second" in text
    objects = [o for k, s in enumerate(scenes) if first == second or (k == 0) == first for o in Reference("", want).among(s)]
    fitting = [len(Reference("", want).among(s)) for s in scenes]
    one = traits(objects[0]) if len(objects) == 1 else [-100] * len(TRAITS)
    return one + fitting + [-100] * (len(COUNTS) - len(fitting))


def traits(obj: Object) -> list[int]:
    """Colour, shape, size, column and row, counted from 1."""
    return [1 + i for i in (COLOUR_NAMES.index(obj.colour), SHAPES.index(obj.shape), SIZES.index(obj.size), obj.column, obj.row)]


def token_traits(scenes: list[Scene]) -> torch.Tensor:
    """(n, IMAGE_TOKENS, 7): the `traits` of the object that each token shows, 0 for none, and the token's own column and row."""
    shown = torch.zeros(len(scenes), IMAGE_TOKENS, len(TRAITS) + 2, dtype=torch.long)
    for token in range(IMAGE_TOKENS):
        shown[:, token, -2:] = torch.tensor([token % GRID, token // GRID])
    for n, scene in enumerate(scenes):
        for obj in scene.objects:
            for token in _covered(obj):
                shown[n, token, :len(TRAITS)] = torch.tensor(traits(obj))
    return shown


def loss(weights: torch.Tensor, batch: dict, name: str = "gaze") -> torch.Tensor:
    """How much of the heads' attention (b, heads, length, length) goes elsewhere: the mean of -log of the rest.
    `name` is "gaze" for the ends of references, "answer" for the beginnings of answers."""
    row, spot = batch[f"{name}_from"].unbind(1)
    if not len(row):
        return weights.sum() * 0
    looks = weights[row, :, spot].float()  # (marks, heads, length)
    at = batch[f"{name}_at"][:, None].expand(-1, looks.shape[1], -1)
    return -(looks.gather(2, at) * batch[name][:, None]).sum(2).clamp(min=1e-4, max=1).log().mean()


def roles_loss(weights: torch.Tensor, batch: dict) -> torch.Tensor:
    """The same of two heads that look from where an answer begins, one to the first and one to the last reference of the question."""
    row, spot, first, last = batch["roles"].unbind(1)
    if not len(row):
        return weights.sum() * 0
    looks = torch.stack([weights[row, 0, spot, first], weights[row, 1, spot, last]])
    return -looks.float().clamp(min=1e-4, max=1).log().mean()


def _covered(obj: Object) -> list[int]:
    reach = 0.7 * obj.radius + 0.5 / GRID
    middle = [(i + 0.5) / GRID for i in range(GRID)]
    return [r * GRID + c for r in range(GRID) for c in range(GRID) if abs(middle[r] - obj.y) < reach and abs(middle[c] - obj.x) < reach]
