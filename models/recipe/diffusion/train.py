"""Trains the UNet and its text encoder: `python -m recipe.diffusion.train --work DIR --latents DIR --steps N`, resumable at any time.

One run is one cosine schedule of N steps. It keeps `DIR/state.pt` (weights, optimiser, step) and
goes on from there when started again; `--from DIR/weights.pt` begins a further stage from the
weights of an earlier one.

The network learns the velocity (`model.scheduler_config`) at times spread evenly over each batch. A time's
weight is bounded where little noise is left (Hang et al., "Min-SNR", https://arxiv.org/abs/2303.09556). Beside
that, `attend` shows some heads where to look, and lets features tell what they draw.
"""

import argparse
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader

from . import model as architecture
from .attend import Reading, Watch
from .data import Batches, Latents
from .muon import OrthogonalMasters
from .stage import Log, cosine, keep, resume
from .swift import hasten

NAMES = ("unet", "text", "reading")
MOST_SIGNAL = 5.0  # signal-to-noise ratio beyond which a time weighs no more


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    unet, text = architecture.fresh_unet(args.seed), architecture.fresh_text(args.clip)
    reading = Reading(architecture.WIDTHS[1])
    if args.start:
        start = torch.load(args.start)
        for name, module in zip(NAMES, (unet, text, reading)):
            module.load_state_dict(start[name])
    masters = OrthogonalMasters([unet, text, reading], args.lr, decay=0.01, average=args.average, gentle=(1, args.text))
    hasten(unet)
    watch = Watch(unet)
    text.bfloat16(), reading.bfloat16()
    done = resume(Path(args.work), masters)
    batches = Batches(Latents(args.latents, args.scenes, args.shards), Tokenizer.from_file(str(args.clip / "tokenizer.json")), args.batch, args.seed, args.mix)
    loader = DataLoader(batches, batch_size=None, sampler=range(done, args.stop), num_workers=1, prefetch_factor=6)
    log = Log(Path(args.work), done)
    keep_signal = architecture.scheduler().alphas_cumprod
    for step, batch in zip(range(done, args.stop), loader):
        figures = _step((unet, text, reading), watch, masters, batch, keep_signal, step, args)
        if (step + 1) % 25 == 0:
            log.note(step + 1, figures)
        if (step + 1) % args.save_every == 0 or step + 1 == args.stop:
            keep(Path(args.work), masters, step + 1, NAMES)


def _step(modules, watch, masters, batch, keep_signal, step, args) -> dict:
    """One update; the losses as tensors."""
    unet, text, reading = modules
    latents, noise, times = batch["latents"], *_chance(step, args.seed, batch["latents"].shape)
    kept = keep_signal[times][:, None, None, None]
    noised = kept.sqrt() * latents + (1 - kept).sqrt() * noise
    velocity = kept.sqrt() * noise - (1 - kept).sqrt() * latents
    said = text(batch["ids"]).last_hidden_state
    noised = noised.bfloat16().contiguous(memory_format=torch.channels_last)
    guess = unet(noised, times, said).sample.float()
    each = (guess - velocity).square().mean((1, 2, 3))
    ratio = (kept / (1 - kept)).flatten()
    weight = ratio.clamp(max=MOST_SIGNAL) + 1
    drawing = (each * weight / (ratio + 1)).mean()
    looking, naming = watch.loss(batch), reading.loss(watch.features, batch["names"])
    (drawing + args.gaze * looking + args.naming * naming).backward()
    masters.step(cosine(step, args), step)
    early = times >= architecture.STEPS // 2
    return {"loss": drawing, "early": each[early].mean(), "late": each[~early].mean(), "gaze": looking, "naming": naming}


def _chance(step: int, seed: int, shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise of the shape, and a time for each of the batch, one in every equal part of the range."""
    dice = torch.Generator().manual_seed(seed * 1_000_003 + step)
    times = (torch.arange(shape[0]) + torch.rand(shape[0], generator=dice)) / shape[0]
    return torch.randn(shape, generator=dice), (times * architecture.STEPS).long()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder of this stage's state, weights and log")
    parser.add_argument("--latents", type=Path, required=True, help="folder of shards")
    parser.add_argument("--shards", type=int, default=24)
    parser.add_argument("--scenes", type=int, default=1, help="the seed of the shards")
    parser.add_argument("--clip", type=Path, default=Path("shapes-clip"))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--stop", type=int, help="end here, before the schedule does")
    parser.add_argument("--from", dest="start", help="weights.pt of an earlier stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--mix", type=_shares, default=(0.4, 0.4, 0.2), help="how often scenes of one, two and three objects come: 0.6,0.3,0.1")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--text", type=float, default=0.3, help="the text encoder's share of the learning rate")
    parser.add_argument("--floor", type=float, default=0.05, help="the last learning rate as a share of the highest")
    parser.add_argument("--warmup", type=int, default=50)
    parser.add_argument("--average", type=float, default=0.995, help="decay of the running average of the weights")
    parser.add_argument("--gaze", type=float, default=0.1, help="weight of where attention looks")
    parser.add_argument("--naming", type=float, default=0.1, help="weight of what features tell")
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.stop = args.stop or args.steps
    return args


def _shares(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


if __name__ == "__main__":
    main()
