"""Encodes scenes once for all: `python -m recipe.diffusion.latents --vae FILE --to DIR --shards N`.

A shard is 2,048 scenes: `DIR/K.npy` holds their latents (2048, 4, 16, 16) in f16, scaled to deviation 1. The
scenes themselves come from the seed again. A run that was interrupted goes on with the next shard.
"""

import argparse
from pathlib import Path
from random import Random

import numpy as np
import torch

from ..world.render import render_batch
from ..world.scene import Scene, sample_scene
from ..world.split import side
from . import model as architecture
from .pictures import signed, still
from .settle import SCALE
from .swift import hasten

SHARD = 2048
COUNTS = (0.35, 0.40, 0.25)  # shares of scenes with one, two and three objects
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vae", required=True, help="settled weights")
    parser.add_argument("--to", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.to.mkdir(parents=True, exist_ok=True)
    vae = architecture.fresh_vae(0)
    vae.load_state_dict(torch.load(args.vae)["vae"])
    hasten(vae)
    for shard in range(args.shards):
        path = args.to / f"{shard}.npy"
        if path.exists():
            continue
        scenes = shard_scenes(args.seed, shard)
        latents = torch.cat([encode(vae, scenes[k:k + BATCH]) for k in range(0, SHARD, BATCH)])
        np.save(args.to / f"{shard}.tmp.npy", latents.half().numpy())
        (args.to / f"{shard}.tmp.npy").replace(path)
        print(f"shard {shard}: deviation {latents.std().item():.3f}", flush=True)


def shard_scenes(seed: int, shard: int) -> list[Scene]:
    """The scenes of a shard, all on the training side of the split and without noise."""
    rng, scenes = Random(f"latents {seed}/{shard}"), []
    while len(scenes) < SHARD:
        scene = sample_scene(rng, rng.choices((1, 2, 3), COUNTS)[0])
        if side(scene) == "train":
            scenes.append(still(scene))
    return scenes


@torch.no_grad()
def encode(vae, scenes: list[Scene]) -> torch.Tensor:
    """Means of the latents (n, 4, 16, 16), f32, deviation 1."""
    pixels = signed(render_batch(scenes, architecture.SIDE)).contiguous(memory_format=torch.channels_last)
    return vae.encode(pixels.to(vae.dtype)).latent_dist.mean.float() * SCALE


if __name__ == "__main__":
    main()
