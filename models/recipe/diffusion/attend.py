"""Where the UNet's cross attention should look: from each place of the picture to the words that mean what stands there.

Training shows it to two heads of a few layers; left to itself, a model of this size takes very long to bind a colour
and a place to the right object. Where no object stands, the heads look at the first token. While the
picture is still noise, the best that a head can do is to look at each object's words as often as that object
would stand there, which is a layout, drawn from the words. The way of directing attention by known
places is that of Lian et al., "LLM-grounded diffusion", https://arxiv.org/abs/2305.13655, moved from sampling to training.
"""

import numpy as np
import torch
from torch import nn

from ..clip.targets import OBJECT_CLASSES
from ..world.claims import MAX_OBJECTS
from ..world.scene import Scene
from .swift import PlainAttention

GROUND, NOBODY = MAX_OBJECTS, -1
DIRECTED_HEADS = 2
DIRECTED = {"down_blocks.1.attentions.0": 8, "mid_block.attentions.0": 4, "up_blocks.1.attentions.0": 8}  # cells along a side
READ = "up_blocks.1.attentions.1"  # the features that should tell each object's names, 8 cells along a side


def owners(scenes: list[Scene], grid: int) -> np.ndarray:
    """(n, grid * grid): the number of the object that covers each cell, or `GROUND`."""
    figures = np.full((len(scenes), MAX_OBJECTS, 3), 9.0, dtype=np.float32)  # far away where there is none
    for n, scene in enumerate(scenes):
        for k, o in enumerate(scene.objects):
            figures[n, k] = o.x, o.y, o.radius
    middle = (np.arange(grid, dtype=np.float32) + 0.5) / grid
    x, y, radius = (figures[:, :, k, None, None] for k in range(3))
    distance = np.hypot(middle[None, None, None, :] - x, middle[None, None, :, None] - y)
    depth = (distance - np.where(radius < 1, 0.85 * radius + 0.42 / grid, 0)).reshape(len(scenes), MAX_OBJECTS, -1)
    return np.where(depth.min(1) < 0, depth.argmin(1), GROUND)


class Watch:
    """Keeps what the directed layers look at and what the read one says, while a UNet runs."""

    def __init__(self, unet):
        modules = dict(unet.named_modules())
        self.grids, self.kept = list(DIRECTED.values()), []
        for name in DIRECTED:
            processor = PlainAttention(keep=True)
            modules[f"{name}.transformer_blocks.0.attn2"].set_processor(processor)
            self.kept.append(processor)
        modules[READ].register_forward_hook(self._read)

    def _read(self, module, inputs, output) -> None:
        self.features = output[0] if isinstance(output, tuple) else output.sample

    def loss(self, batch: dict) -> torch.Tensor:
        """The mean over layers of -log of the attention that goes where it should; objects and ground weigh the same.

        batch: words (b, 4, tokens), 1 where a token means the object, the fourth row for the ground;
        owner_4, owner_8 (b, cells), of `owners`, or `NOBODY` where no word means the object alone.
        """
        total = 0.0
        for grid, processor in zip(self.grids, self.kept):
            looks = processor.weights[:, :DIRECTED_HEADS].float()  # (b, heads, cells, tokens)
            falls = torch.einsum("bhct,bot->bhco", looks, batch["words"])
            owner = batch[f"owner_{grid}"]
            aim = owner.clamp(min=0)[:, None, :, None].expand(-1, DIRECTED_HEADS, -1, 1)
            missed = -falls.gather(3, aim)[..., 0].clamp(min=1e-3, max=1).log().mean(1)
            for chosen in (owner == GROUND, (owner >= 0) & (owner < GROUND)):
                total = total + 0.5 * (missed * chosen).sum() / chosen.sum().clamp(min=1)
        return total / len(self.kept)


class Reading(nn.Module):
    """Training only: what the features of each of 8x8 cells say of the colour, shape and size of the object there.

    Features that know what they draw make a diffusion model learn many times faster: Yu et al., "Representation
    alignment for generation", https://arxiv.org/abs/2410.06940; here the names are known, so no other model is needed.
    """

    def __init__(self, width: int):
        super().__init__()
        self.say = nn.Sequential(nn.Linear(width, 128), nn.SiLU(), nn.Linear(128, sum(OBJECT_CLASSES)))

    def loss(self, features, names) -> torch.Tensor:
        """features (b, width, 8, 8), names (b, 64, 3) of `clip.targets`; the ground weighs less, for most cells are empty."""
        said = self.say(features.flatten(2).transpose(1, 2)).float()
        total = 0.0
        for k, part in enumerate(said.split(OBJECT_CLASSES, dim=2)):
            weight = torch.ones(OBJECT_CLASSES[k])
            weight[0] = 0.2
            total = total + nn.functional.cross_entropy(part.flatten(0, 1), names[..., k].flatten(), weight)
        return total / len(OBJECT_CLASSES)
