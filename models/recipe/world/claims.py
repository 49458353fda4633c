"""What a caption says, as data, and whether it is true of a scene.

A claim is existential: "a red circle above a square" is true of every scene in which some red
circle lies above some square, whatever else is there. Only a count speaks about the whole scene.
`truth_matrix` decides all captions against all scenes at once, which gives the loss its false
negatives and the ranking test its guarantee that each caption is true of exactly one image.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from .scene import Scene
from .vocabulary import COLOUR_NAMES, SHAPES, SIZES, TONES

ANY = -1
RELATIONS = ("left", "right", "above", "below", "beside")
MAX_OBJECTS = 3


@dataclass(frozen=True)
class Want:
    """One mentioned object; None asks for nothing. Columns and rows count from 0 at the top left."""

    colour: str | None = None
    shape: str | None = None
    size: str | None = None
    column: int | None = None
    row: int | None = None


@dataclass(frozen=True)
class Claim:
    """Distinct objects that must exist, and how they lie: (i, relation, j) reads "i is left of j"."""

    wants: tuple[Want, ...]
    relations: tuple[tuple[int, str, int], ...] = ()
    count: int | None = None
    tone: str | None = None  # of the background


def holds(claim: Claim, scene: Scene) -> bool:
    """Whether the claim is true of the scene."""
    return bool(truth_matrix([claim], [scene])[0, 0])


def truth_matrix(claims: list[Claim], scenes: list[Scene]) -> np.ndarray:
    """Booleans of shape (len(claims), len(scenes))."""
    want, relation, count, tone = _claim_arrays(claims)
    objects, tones, lies = _scene_arrays(scenes)
    present = objects[:, :, 0] != ANY
    # fits[c, s, i, k]: object k of scene s is what want i of claim c asks for
    fits = np.ones((len(claims), len(scenes), MAX_OBJECTS, MAX_OBJECTS), dtype=bool)
    for attribute in range(5):
        asked = want[:, None, :, None, attribute]
        fits &= (asked == ANY) | (asked == objects[None, :, None, :, attribute])
    mentioned = np.arange(MAX_OBJECTS)[None, :] < np.array([len(c.wants) for c in claims])[:, None]
    fits &= present[None, :, None, :]
    fits |= ~mentioned[:, None, :, None]
    true = np.zeros((len(claims), len(scenes)), dtype=bool)
    for order in permutations(range(MAX_OBJECTS)):
        ok = fits[:, :, 0, order[0]] & fits[:, :, 1, order[1]] & fits[:, :, 2, order[2]]
        for i in range(MAX_OBJECTS):
            for j in range(MAX_OBJECTS):
                if i != j and (relation[:, i, j] != ANY).any():
                    lie = lies[:, :, order[i], order[j]].T  # (scenes, relations)
                    ok &= (relation[:, i, j] == ANY)[:, None] | lie[:, relation[:, i, j]].T
        true |= ok
    true &= (count[:, None] == ANY) | (count[:, None] == present.sum(1)[None])
    return true & ((tone[:, None] == ANY) | (tone[:, None] == tones[None]))


def relation_holds(first, name: str, second) -> bool:
    """Whether two objects of one scene lie as named; diagonal neighbours are both beside no one and, say, left and above."""
    return {
        "left": first.column < second.column,
        "right": first.column > second.column,
        "above": first.row < second.row,
        "below": first.row > second.row,
        "beside": first.row == second.row,
    }[name]


def _claim_arrays(claims):
    want = np.full((len(claims), MAX_OBJECTS, 5), ANY, dtype=np.int8)
    relation = np.full((len(claims), MAX_OBJECTS, MAX_OBJECTS), ANY, dtype=np.int8)
    for c, claim in enumerate(claims):
        for i, w in enumerate(claim.wants):
            want[c, i] = (
                _index(COLOUR_NAMES, w.colour), _index(SHAPES, w.shape), _index(SIZES, w.size),
                ANY if w.column is None else w.column, ANY if w.row is None else w.row,
            )
        for i, name, j in claim.relations:
            relation[c, i, j] = RELATIONS.index(name)
    count = np.array([ANY if c.count is None else c.count for c in claims], dtype=np.int8)
    tone = np.array([_index(TONES, c.tone) for c in claims], dtype=np.int8)
    return want, relation, count, tone


def _scene_arrays(scenes):
    objects = np.full((len(scenes), MAX_OBJECTS, 5), ANY, dtype=np.int8)
    for s, scene in enumerate(scenes):
        for k, o in enumerate(scene.objects):
            objects[s, k] = (
                COLOUR_NAMES.index(o.colour), SHAPES.index(o.shape), SIZES.index(o.size), o.column, o.row,
            )
    column, row = objects[:, :, None, 3], objects[:, :, None, 4]
    other_column, other_row = objects[:, None, :, 3], objects[:, None, :, 4]
    lies = np.stack([
        column < other_column, column > other_column, row < other_row, row > other_row, row == other_row,
    ])  # (relations, scenes, k, k)
    tones = np.array([TONES.index(s.background.tone) for s in scenes], dtype=np.int8)
    return objects, tones, lies


def _index(names, name) -> int:
    return ANY if name is None else names.index(name)
