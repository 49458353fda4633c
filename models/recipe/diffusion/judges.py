"""The two judges of a drawing: shapes-vlm, whose description is read as a scene, and shapes-clip, which picks among texts."""

import re
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..clip.evaluate import Towers
from ..vlm.describe import PLACES
from ..vlm.talker import Chat, Talker
from ..world.claims import Want
from ..world.nouns import with_article
from ..world.scene import CELL_CENTRES, Background, Object, Scene
from ..world.vocabulary import COLOUR_NAMES, SHAPES, SIZES

QUESTION = "Describe the picture."
SEEN = re.compile(rf"({'|'.join(SIZES)}) ({'|'.join(COLOUR_NAMES)}) ({'|'.join(SHAPES)}) ({'|'.join(p for row in PLACES for p in row)})\b")
WHERE = {place: (row, column) for row, line in enumerate(PLACES) for column, place in enumerate(line)}
OPPOSITES = {"left": "right", "right": "left", "above": "below", "below": "above"}
WORDS = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}


class Describer:
    """shapes-vlm, asked what a picture shows."""

    def __init__(self, folder: Path):
        self.talker = Talker(folder)

    def scenes(self, pictures: np.ndarray) -> list[Scene]:
        """What it sees in each uint8 picture; no objects where its words make no sense."""
        return [read(text) for text in self.talker.answers([Chat().user(QUESTION, [p]) for p in pictures])]


def read(description: str) -> Scene:
    """The scene that a description names: sizes, colours, shapes, and objects in the middle of their cells."""
    objects = []
    for size, colour, shape, place in SEEN.findall(description.lower()):
        row, column = WHERE[place]
        objects.append(Object(colour, shape, size, CELL_CENTRES[column], CELL_CENTRES[row], 0.1, 0.0, (0.0, 0.0, 0.0)))
    unknown = Background("solid", "mid", (0.5,) * 3, (0.5,) * 3, 0.0, 1.0, 0.0, 0)
    return Scene(tuple(objects), unknown)


class Matcher:
    """shapes-clip, asked which of some texts fits a picture best."""

    def __init__(self, folder: Path):
        self.towers = Towers(folder)
        self.pairs = [(c, s) for c in COLOUR_NAMES for s in SHAPES]
        self.labels = self._texts([f"a photo of {with_article(f'{c} {s}', 'a')}" for c, s in self.pairs])

    def images(self, pictures) -> torch.Tensor:
        """Unit embeddings (n, dim)."""
        return F.normalize(self.towers.images(pictures), dim=-1)

    def _texts(self, texts: list[str]) -> torch.Tensor:
        return F.normalize(self.towers.texts(texts), dim=-1)

    def likeness(self, images, texts: list[str]) -> torch.Tensor:
        """Cosine of each image (n, dim) with its own text, (n,)."""
        return (images * self._texts(texts)).sum(1)

    def lone(self, image) -> tuple[str, str]:
        """The likeliest of all 80 colour-shape pairs, for a picture of one object."""
        return self.pairs[(self.labels @ image).argmax()]

    def names(self, image, wants: tuple[Want, ...]) -> bool:
        """Whether "a red circle and a blue square" beats every text with one name changed or two swapped."""
        right = [(w.colour, w.shape) for w in wants]
        texts = [" and ".join(with_article(f"{c} {s}", "a") for c, s in said) for said in [right, *near_misses(right)]]
        return int((self._texts(texts) @ image).argmax()) == 0

    def relation(self, image, first: Want, name: str, second: Want) -> bool:
        """Whether "a red circle above a blue square" beats its opposite; `name` is one of `WORDS`."""
        a, b = (with_article(f"{w.colour} {w.shape}", "a") for w in (first, second))
        true, false = self._texts([f"{a} {WORDS[way]} {b}" for way in (name, OPPOSITES[name])]) @ image
        return bool(true > false)


def near_misses(pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The same (colour, shape) pairs with one name changed, or with two of them swapped, where that makes a difference."""
    changed = []
    for i, (colour, shape) in enumerate(pairs):
        others = [(c, shape) for c in COLOUR_NAMES if c != colour] + [(colour, s) for s in SHAPES if s != shape]
        changed += [[*pairs[:i], other, *pairs[i + 1:]] for other in others]
        for j in range(i):
            swapped = list(pairs)
            swapped[i], swapped[j] = (pairs[j][0], shape), (colour, pairs[j][1])
            changed.append(swapped)
    return [c for c in changed if sorted(c) != sorted(pairs)]
