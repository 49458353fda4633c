"""What the auxiliary heads learn to say. Class 0 is always "none"; names follow from 1."""

import numpy as np
import torch

from ..world.claims import Claim, MAX_OBJECTS, RELATIONS
from ..world.render import cover
from ..world.scene import Scene
from ..world.vocabulary import COLOUR_NAMES, SHAPES, SIZES

GRID = 8  # patches along a side
CELLS = 9
OBJECT_CLASSES = (1 + len(COLOUR_NAMES), 1 + len(SHAPES), 1 + len(SIZES))  # colour, shape, size
PLACE_CLASSES = (4, 4)  # column, row
RELATION_CLASSES = 1 + len(RELATIONS)
PAIRS = ((0, 1), (1, 2), (0, 2), (2, 1))


def image_targets(scenes: list[Scene]) -> dict[str, torch.Tensor]:
    """image_cells (b, 9, 3): colour, shape, size of the object in each cell of the 3x3 grid, row by row;
    image_patches (b, 64, 3): the same for the object that covers each patch's middle."""
    cells = np.zeros((len(scenes), CELLS, 3), dtype=np.int64)
    patches = np.zeros((len(scenes), GRID, GRID, 3), dtype=np.int64)
    middle = (np.arange(GRID) + 0.5) / GRID
    for n, scene in enumerate(scenes):
        for o in scene.objects:
            names = (1 + COLOUR_NAMES.index(o.colour), 1 + SHAPES.index(o.shape), 1 + SIZES.index(o.size))
            cells[n, 3 * o.row + o.column] = names
            near = (middle[None, :] - o.x) ** 2 + (middle[:, None] - o.y) ** 2 < (o.radius + 0.01) ** 2
            patches[n][near] = names
    return {"image_cells": torch.from_numpy(cells), "image_patches": torch.from_numpy(patches.reshape(len(scenes), -1, 3))}


def cover_targets(scenes: list[Scene], size: int) -> dict[str, torch.Tensor]:
    """image_cover (b, 64, patch * patch): which pixels of each patch belong to an object, 0..1."""
    patch = size // GRID
    cut = cover(scenes, size).reshape(len(scenes), GRID, patch, GRID, patch).transpose(0, 1, 3, 2, 4)
    return {"image_cover": torch.from_numpy(cut.reshape(len(scenes), GRID * GRID, patch * patch).copy())}


def thinned(aims: dict[str, torch.Tensor], count: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
    """The image targets of `count` patches each: all that show an object where possible, many beside
    them, some of the empty rest. `kept` (b, count) says which."""
    shown = (aims["image_cover"].amax(2) > 0.02).float().view(-1, 1, GRID, GRID)
    beside = torch.nn.functional.max_pool2d(shown, 3, stride=1, padding=1)
    shown, beside = shown.flatten(1), beside.flatten(1)
    luck = torch.from_numpy(rng.random((2, *shown.shape), dtype=np.float32))
    kept = (2.5 * shown + 1.5 * luck[0] * beside + luck[1]).topk(count, dim=1).indices
    index = kept[..., None]
    return {
        **aims, "kept": kept,
        "image_patches": aims["image_patches"].gather(1, index.expand(-1, -1, 3)),
        "image_cover": aims["image_cover"].gather(1, index.expand(-1, -1, aims["image_cover"].shape[2])),
    }


def text_targets(claims: list[Claim]) -> dict[str, torch.Tensor]:
    """text_wants (b, 3, 5): colour, shape, size, column, row of each mentioned object in the claim's order;
    text_relations (b, 4): the relation said of each pair of `PAIRS`."""
    wants = np.zeros((len(claims), MAX_OBJECTS, 5), dtype=np.int64)
    relations = np.zeros((len(claims), len(PAIRS)), dtype=np.int64)
    for n, claim in enumerate(claims):
        for k, w in enumerate(claim.wants):
            wants[n, k] = (
                1 + COLOUR_NAMES.index(w.colour) if w.colour else 0, 1 + SHAPES.index(w.shape) if w.shape else 0,
                1 + SIZES.index(w.size) if w.size else 0,
                0 if w.column is None else 1 + w.column, 0 if w.row is None else 1 + w.row,
            )
        for i, name, j in claim.relations:
            relations[n, PAIRS.index((i, j))] = 1 + RELATIONS.index(name)
    return {"text_wants": torch.from_numpy(wants), "text_relations": torch.from_numpy(relations)}
