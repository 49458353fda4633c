"""Trains shapes-clip: `python -m recipe.clip.train --work DIR --steps N`, resumable at any time.

One run is one cosine schedule of N steps. It keeps `DIR/state.pt` (weights, optimiser, step) and
goes on from there when started again; `--from DIR/weights.pt` begins a further stage from the
weights of an earlier one.
"""

import argparse
import json
import math
import time
from pathlib import Path
from random import Random

import torch
from torch.nn.functional import normalize
from torch.utils.data import DataLoader

from ..world.render import render_batch
from . import model as architecture
from .data import Batches, encoded, normalised
from .heads import Heads
from .loss import contrastive
from .masters import Masters
from .ranking import ranking_set
from .tokenizer import build

HEAD_WEIGHTS = {"cover": 2.0, "patches": 1.0, "cells": 0.5, "wants": 0.5, "relations": 0.5}
MAX_LOGIT_SCALE = math.log(100)


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    work = Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = build()[0]
    clip = architecture.fresh(args.seed)
    heads = Heads(architecture.WIDTH, architecture.DIMENSIONS[-1], architecture.PATCH**2)
    if args.start:
        start = torch.load(args.start)
        clip.load_state_dict(start["clip"])
        heads.load_state_dict(start["heads"])
    masters = Masters([clip, heads], args.lr, decay=0.05, average=0.998)
    clip.bfloat16()
    done = 0
    if (work / "state.pt").exists():
        state = torch.load(work / "state.pt")
        masters.load(state["masters"])
        done = state["step"]
    batches = Batches(tokenizer, architecture.IMAGE_SIZE, args.batch, args.seed, args.kept)
    loader = DataLoader(batches, batch_size=None, sampler=range(done, args.steps), num_workers=1, prefetch_factor=6)
    log = (work / "log.jsonl").open("a")
    began, seen = time.monotonic(), done
    for step, batch in zip(range(done, args.steps), loader):
        figures = _step(clip, heads, masters, batch, step, args)
        if (step + 1) % 50 == 0:
            figures |= {"step": step + 1, "seconds_per_step": (time.monotonic() - began) / (step + 1 - seen)}
            _note(log, figures)
        if (step + 1) % args.save_every == 0 or step + 1 == args.steps:
            _save(work, masters, step + 1)
            _note(log, {"step": step + 1, **_check(masters, tokenizer)})


def _step(clip, heads, masters, batch, step, args) -> dict:
    """One update; the losses as numbers."""
    image, tokens = architecture.see(clip, batch["pixels"].bfloat16(), batch.get("kept"))
    image = image.float()
    text = clip.text_projection(clip.text_model(batch["ids"]).pooler_output).float()
    scale = _logit_scale(clip, masters)
    main_loss = contrastive(image, text, scale, batch["true"], architecture.DIMENSIONS)
    aside = heads.losses(tokens.float(), image, text, batch)
    falling = 0.5 * (1 + math.cos(math.pi * step / args.steps))  # from 1 to 0 over the run
    (main_loss + args.heads * sum(HEAD_WEIGHTS[k] * v for k, v in aside.items())).backward()
    warm = min(1.0, (step + 1) / args.warmup)
    lr = args.lr * warm * (args.floor + (1 - args.floor) * falling)
    masters.step(lr, step)
    with torch.no_grad():
        masters.master[masters.names.index("0.logit_scale")].clamp_(max=MAX_LOGIT_SCALE)
    figures = {"loss": main_loss, "scale": scale, **aside}
    return {name: round(value.item(), 4) for name, value in figures.items()}


def _logit_scale(clip, masters) -> torch.Tensor:
    """exp(logit_scale) with the value of the f32 master, for bf16 would round it, and the gradient of the live one."""
    live, master = clip.logit_scale.float(), masters.master[masters.names.index("0.logit_scale")].detach()
    return (live - live.detach() + master).exp()


@torch.no_grad()
def _check(masters, tokenizer, sets: int = 4) -> dict:
    """Quick ranking accuracy of the averaged weights on held-out scenes."""
    clip = architecture.fresh(0)
    clip.load_state_dict(masters.averaged(0))
    rng, right_text, right_image = Random(7), 0, 0
    for _ in range(sets):
        scenes, captions = zip(*ranking_set(rng, "held-out"))
        pixels = normalised(render_batch(list(scenes), architecture.IMAGE_SIZE))
        image = normalize(clip.get_image_features(pixels).pooler_output, dim=-1)
        text = normalize(clip.get_text_features(encoded(tokenizer, [c.text for c in captions])).pooler_output, dim=-1)
        logits, own = text @ image.T, torch.arange(len(scenes))
        right_text += (logits.argmax(1) == own).float().mean().item() / sets
        right_image += (logits.argmax(0) == own).float().mean().item() / sets
    return {"text_to_image": round(right_text, 4), "image_to_text": round(right_image, 4)}


def _save(work: Path, masters, step: int) -> None:
    """The resumable state, and the averaged weights that publishing and further stages read."""
    torch.save({"masters": masters.state(), "step": step}, work / "state.tmp")
    (work / "state.tmp").replace(work / "state.pt")
    torch.save({"clip": masters.averaged(0), "heads": masters.averaged(1), "step": step}, work / "weights.tmp")
    (work / "weights.tmp").replace(work / "weights.pt")


def _note(log, figures: dict) -> None:
    line = json.dumps(figures)
    print(line, flush=True)
    log.write(line + "\n")
    log.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder of this stage's state, weights and log")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--from", dest="start", help="weights.pt of an earlier stage")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--floor", type=float, default=0.01, help="the last learning rate as a share of the highest")
    parser.add_argument("--heads", type=float, default=1.0, help="weight of the training-only heads")
    parser.add_argument("--kept", type=int, help="look at this many of the 64 patches only")
    parser.add_argument("--warmup", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
