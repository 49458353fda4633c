"""Training-only heads. They ask each tower for what the contrastive loss would take long to demand:
which colour, shape and size stands where, and which pixels are an object. None of them is published."""

import torch
import torch.nn.functional as F
from torch import nn

from ..world.claims import MAX_OBJECTS
from .targets import CELLS, OBJECT_CLASSES, PAIRS, PLACE_CLASSES, RELATION_CLASSES

WANT_CLASSES = OBJECT_CLASSES + PLACE_CLASSES


class Heads(nn.Module):
    """Linear readings of patch tokens (b, 64, width) and of both embeddings (b, dim); `pixels` are a patch's."""

    def __init__(self, width: int, dim: int, pixels: int):
        super().__init__()
        self.cover = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, pixels))
        self.patches = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, sum(OBJECT_CLASSES)))
        self.cells = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, CELLS * sum(OBJECT_CLASSES)))
        self.wants = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, MAX_OBJECTS * sum(WANT_CLASSES)))
        self.relations = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, len(PAIRS) * RELATION_CLASSES))

    def losses(self, tokens, image, text, batch) -> dict[str, torch.Tensor]:
        """Cross entropies, by head; none-classes weigh less where most places are empty."""
        b, drawn = image.shape[0], batch["image_cover"]
        return {
            "cover": F.binary_cross_entropy_with_logits(self.cover(tokens[: len(drawn)]), drawn),
            "patches": _named(self.patches(tokens), batch["image_patches"], OBJECT_CLASSES, 0.3),
            "cells": _named(self.cells(image).view(b, CELLS, -1), batch["image_cells"], OBJECT_CLASSES, 0.3),
            "wants": _named(self.wants(text).view(b, MAX_OBJECTS, -1), batch["text_wants"], WANT_CLASSES, 0.5),
            "relations": _named(self.relations(text).view(b, len(PAIRS), -1), batch["text_relations"][..., None], (RELATION_CLASSES,), 0.5),
        }


def _named(logits, target, classes, none_weight) -> torch.Tensor:
    """Sum over attributes of the weighted cross entropy; logits (b, places, sum(classes)), target (b, places, len(classes))."""
    loss = 0.0
    for k, part in enumerate(logits.float().split(classes, dim=-1)):
        weight = torch.ones(classes[k])
        weight[0] = none_weight
        loss = loss + F.cross_entropy(part.reshape(-1, classes[k]), target[..., k].reshape(-1), weight)
    return loss
