"""CLIP's contrastive loss (https://arxiv.org/abs/2103.00020) over Matryoshka prefixes
(https://arxiv.org/abs/2205.13147), with pairs that are true by chance left out of the negatives."""

import torch
import torch.nn.functional as F


def contrastive(image, text, scale, true, dimensions) -> torch.Tensor:
    """Mean loss over both directions and all prefixes.

    image, text: (b, dim) not normalised; scale: the logit scale after exp; true: (b, b) bool,
    caption i is true of image j.
    """
    b = image.shape[0]
    chance = true & ~torch.eye(b, dtype=torch.bool)
    own = torch.arange(b)
    total = 0.0
    for dim in dimensions:
        i, t = F.normalize(image[:, :dim], dim=-1), F.normalize(text[:, :dim], dim=-1)
        logits = (scale * t @ i.T).masked_fill(chance, float("-inf"))
        total = total + (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
    return total / len(dimensions)
