"""Fixes the scale of the latents: `python -m recipe.diffusion.settle --from DIR/weights.pt --to FILE`.

Each channel of the latents gets mean 0 and the deviation that Stable Diffusion's scaling factor, 0.18215,
brings to 1 (Rombach et al., https://arxiv.org/abs/2112.10752), so that loaders which know that number
by heart are right too. Nothing else changes: the two 1x1 convolutions around the latents take it up.
"""

import argparse
from pathlib import Path

import torch

from . import model as architecture
from .pictures import Pictures

SCALE = 0.18215
PICTURES = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="start", required=True, help="weights.pt of a stage of the VAE")
    parser.add_argument("--to", type=Path, required=True, help="the same with settled latents")
    args = parser.parse_args()
    vae = architecture.fresh_vae(0)
    start = torch.load(args.start)
    vae.load_state_dict(start["vae"])
    mean, deviation = measure(vae)
    print("mean", [round(v, 3) for v in mean.tolist()], "deviation", [round(v, 3) for v in deviation.tolist()])
    settle(vae, mean, deviation)
    torch.save(start | {"vae": vae.state_dict()}, args.to)


@torch.no_grad()
def measure(vae, pictures: int = PICTURES) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and deviation of each channel (channels,) over training pictures, sampling included."""
    batch = 32
    seen = [vae.encode(Pictures(batch, architecture.SIDE, 99)[k]["clean"]).latent_dist.sample() for k in range(pictures // batch)]
    latents = torch.cat(seen).transpose(0, 1).flatten(1)
    return latents.mean(1), latents.std(1)


@torch.no_grad()
def settle(vae, mean: torch.Tensor, deviation: torch.Tensor) -> None:
    """Shifts and scales the latents in place; pictures encoded and decoded stay the same."""
    gain = 1 / (SCALE * deviation)
    into, out, channels = vae.quant_conv, vae.post_quant_conv, len(mean)
    into.weight[:channels] *= gain[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) * gain
    into.bias[channels:] += 2 * gain.log()
    out.bias += out.weight[:, :, 0, 0] @ mean
    out.weight /= gain[None, :, None, None]


if __name__ == "__main__":
    main()
