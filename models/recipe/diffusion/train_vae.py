"""Trains the VAE: `python -m recipe.diffusion.train_vae --work DIR --steps N`, resumable at any time.

One run is one cosine schedule of N steps. It keeps `DIR/state.pt` (weights, optimiser, step) and
goes on from there when started again; `--from DIR/weights.pt` begins a further stage from the
weights of an earlier one. With `--decoder`, the encoder stays as it is, and with it the latents that
a UNet may have learnt already.

The loss is the difference of pixels, of hues, and of the steps between neighbouring pixels, which keeps
edges sharp, and the divergence of the latents from a normal distribution (Kingma and Welling,
https://arxiv.org/abs/1312.6114). A linear reading of each latent should give the mean colour of its 8x8
pixels; without it, thousands of steps go by in grey. Noise in a picture is not to be reproduced.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from . import model as architecture
from .muon import OrthogonalMasters
from .pictures import Pictures
from .settle import SCALE
from .stage import Log, cosine, keep, resume
from .swift import hasten


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    vae = architecture.fresh_vae(args.seed)
    tint = nn.Linear(architecture.CHANNELS, 3)
    if args.start:
        start = torch.load(args.start)
        vae.load_state_dict(start["vae"])
        tint.load_state_dict(start["tint"])
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(not args.decoder)
    masters = OrthogonalMasters([vae, tint], args.lr, decay=0.01, average=args.average)
    hasten(vae)
    tint.bfloat16()
    done = resume(Path(args.work), masters)
    loader = DataLoader(Pictures(args.batch, args.side, args.seed), batch_size=None, sampler=range(done, args.stop), num_workers=1, prefetch_factor=4)
    log = Log(Path(args.work), done)
    for step, batch in zip(range(done, args.stop), loader):
        figures = _step(vae, tint, masters, batch, step, args)
        if (step + 1) % 25 == 0:
            log.note(step + 1, figures)
        if (step + 1) % args.save_every == 0 or step + 1 == args.stop:
            keep(Path(args.work), masters, step + 1, ("vae", "tint"))


def _step(vae, tint, masters, batch, step, args) -> dict:
    """One update; the losses as tensors."""
    noisy = batch["noisy"].bfloat16().contiguous(memory_format=torch.channels_last)
    torch.manual_seed(step)
    with torch.set_grad_enabled(not args.decoder):
        posterior = vae.encode(noisy).latent_dist
        latents = posterior.sample().to(noisy.dtype)
    if args.decoder:
        latents = latents + args.blur / SCALE * torch.rand(len(latents), 1, 1, 1).to(latents) * torch.randn_like(latents)
    drawn = vae.decode(latents).sample.float()
    pixels, edges = differences(drawn, batch["clean"])
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    divergence = 0.5 * (mean * mean + logvar.exp() - 1 - logvar).mean()
    weight = args.kl * min(1.0, step / 300)
    colours = F.mse_loss(tint(latents.movedim(1, 3)).float(), F.avg_pool2d(batch["clean"], 8).movedim(1, 3))
    loss = pixels + args.edges * edges
    (loss if args.decoder else loss + weight * divergence + colours).backward()
    masters.step(cosine(step, args), step)
    return {"pixels": pixels, "edges": edges, "colours": colours, "kl": divergence, "deviation": (0.5 * logvar).exp().mean(), "spread": mean.std()}


def differences(drawn: torch.Tensor, clean: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of pixels (n, 3, h, w): absolute and squared differences, those of red, green and blue against each other once more, for
    a hue is easily missed; and absolute differences of the steps from each pixel to the next."""
    error = drawn - clean
    hue = (error - error.roll(1, dims=1)).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.5 * hue, (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()) / 2


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder of this stage's state, weights and log")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--stop", type=int, help="end here, before the schedule does")
    parser.add_argument("--from", dest="start", help="weights.pt of an earlier stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--side", type=int, default=64, help="pixels of a window; 128 for whole pictures")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--floor", type=float, default=0.05, help="the last learning rate as a share of the highest")
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--average", type=float, default=0.99, help="decay of the running average of the weights")
    parser.add_argument("--edges", type=float, default=1.0, help="weight of the differences of neighbours")
    parser.add_argument("--kl", type=float, default=5e-4, help="weight of the divergence, a mean over latents")
    parser.add_argument("--decoder", action="store_true", help="train the decoder alone")
    parser.add_argument("--blur", type=float, default=0.3, help="with --decoder, the most noise added to settled latents, in deviations")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.stop = args.stop or args.steps
    return args


if __name__ == "__main__":
    main()
