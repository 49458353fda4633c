"""Trains shapes-vlm: `python -m recipe.vlm.train --work DIR --steps N`, resumable at any time.

One run is one schedule of N steps, held for a while and then a cosine. It keeps `DIR/state.pt` (weights, optimiser, step) and
goes on from there when started again; `--from DIR/weights.pt` begins a further stage from the
weights of an earlier one.
"""

import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader

from ..clip.masters import Masters
from ..clip.targets import OBJECT_CLASSES
from . import copying, gaze, model as architecture
from .data import Batches, looks
from .dialogue import Mix
from .muon import Muon
from .packing import IGNORED
from .tokenizer import load

CELLS = 9
TOKEN_CLASSES = (*gaze.TRAITS, gaze.GRID, gaze.GRID)


class Heads(nn.Module):
    """Training-only readings: what each patch of the eye and the picture's image tokens say of colour, shape, size."""

    def __init__(self, eye: int, text: int):
        super().__init__()
        self.patches = nn.Sequential(nn.LayerNorm(eye), nn.Linear(eye, sum(OBJECT_CLASSES)))
        self.tokens = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, sum(TOKEN_CLASSES)))
        self.meant = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, sum(gaze.TRAITS)))
        self.counts = nn.Sequential(nn.LayerNorm(text), nn.Linear(text, sum(gaze.COUNTS)))
        self.cells = nn.Sequential(nn.LayerNorm(text * 16), nn.Linear(text * 16, CELLS * sum(OBJECT_CLASSES)))

    def loss(self, patches, images, batch) -> torch.Tensor:
        cells = self.cells(images.flatten(1)).view(len(images), CELLS, -1)
        return _named(self.patches(patches), batch["image_patches"]) + _named(cells, batch["image_cells"])

    def reading(self, images, found, batch) -> torch.Tensor:
        """What single image tokens say of the object they show and of their own place, and what the end of a reference
        says: after the directed layer of the object that is meant, one layer later of how many there are."""
        row, spot = batch["gaze_from"].unbind(1)
        traits, counts = batch["meant"].split((len(gaze.TRAITS), len(gaze.COUNTS)), dim=1)
        said = _named(self.meant(found[0][row, spot]), traits, gaze.TRAITS)
        for part, target in zip(self.counts(found[1][row, spot]).float().split(gaze.COUNTS, dim=-1), counts.unbind(1)):
            said = said + F.cross_entropy(part, target, reduction="sum") / max(1, (target >= 0).sum())
        return said + _named(self.tokens(images), batch["token_traits"], TOKEN_CLASSES)


def main() -> None:
    args = _arguments()
    torch.set_num_threads(args.threads)
    work = Path(args.work)
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = load(args.tokenizer)
    vlm = architecture.fresh(args.seed, args.clip)
    heads = Heads(vlm.config.vision_config.hidden_size, vlm.config.text_config.hidden_size)
    if args.start:
        start = torch.load(args.start)
        vlm.load_state_dict(start["vlm"])
        heads.load_state_dict(start["heads"], strict=False)
    masters = (Muon if args.muon else Masters)([vlm, heads], args.lr, decay=0.05, average=args.average)
    architecture.halve(vlm)
    heads.bfloat16()
    done = 0
    if (work / "state.pt").exists():
        state = torch.load(work / "state.pt")
        masters.load(state["masters"])
        done = state["step"]
    mix = Mix(args.tools, args.json, args.describing, args.hard, args.two, args.hardest, args.pointed)
    batches = Batches(tokenizer, args.batch, args.length, args.seed, mix)
    loader = DataLoader(batches, batch_size=None, sampler=range(done, args.stop), num_workers=1, prefetch_factor=6)
    log = (work / "log.jsonl").open("a")
    began, seen = time.monotonic(), done
    for step, batch in zip(range(done, args.stop), loader):
        figures = _step(vlm, heads, masters, batch, step, args)
        if (step + 1) % 25 == 0:
            _note(log, figures | {"step": step + 1, "seconds_per_step": round((time.monotonic() - began) / (step + 1 - seen), 3)})
        if (step + 1) % args.save_every == 0 or step + 1 == args.stop:
            _save(work, masters, step + 1)


def _step(vlm, heads, masters, batch, step, args) -> dict:
    """One update; the losses as numbers."""
    images, patches = architecture.see(vlm, batch["pixels"].bfloat16())
    hidden, directed, found = architecture.read(vlm, batch["ids"], images[batch["order"]], batch["places"], looks(batch["branch"]))
    wanted = batch["target"] != IGNORED
    logits = vlm.lm_head(hidden[wanted]).float()
    target = batch["target"][wanted]
    each = F.cross_entropy(logits, target, reduction="none")
    weight = batch["weight"][wanted] if args.even else torch.ones_like(each)
    aside = heads.loss(patches, images, batch)
    looking, reading = gaze.loss(directed[0], batch), heads.reading(images, found, batch)
    repeating = copying.loss(directed[1], batch)
    asking = gaze.roles_loss(directed[2], batch) + gaze.loss(directed[3], batch, "answer")
    shown = args.gaze * looking + args.copying * repeating + args.asking * asking + args.reading * reading + args.heads * aside
    ((each * weight).sum() / weight.sum() + shown).backward()
    falling = 0.5 * (1 + math.cos(math.pi * max(0, step - args.hold) / max(1, args.steps - args.hold)))  # from 1 to 0
    lr = args.lr * min(1.0, (step + 1) / args.warmup) * (args.floor + (1 - args.floor) * falling)
    masters.step(lr, step)
    right = (logits.argmax(1) == target).float().mean()
    figures = {"loss": each.mean(), "right": right, "heads": aside, "gaze": looking, "asking": asking, "reading": reading, "copying": repeating}
    return {name: round(value.item(), 4) for name, value in figures.items()}


def _named(logits, target, classes=OBJECT_CLASSES) -> torch.Tensor:
    """Sum over attributes of the cross entropy, "none" weighing less, for most places are empty."""
    loss = 0.0
    for k, part in enumerate(logits.float().split(classes, dim=-1)):
        weight = torch.ones(classes[k])
        weight[0] = 0.3 if k < len(gaze.TRAITS) else 1.0
        loss = loss + F.cross_entropy(part.reshape(-1, classes[k]), target[..., k].reshape(-1), weight)
    return loss


def _save(work: Path, masters, step: int) -> None:
    """The resumable state, and the averaged weights that publishing and further stages read."""
    torch.save({"masters": masters.state(), "step": step}, work / "state.tmp")
    (work / "state.tmp").replace(work / "state.pt")
    vlm = masters.averaged(0)
    vlm["lm_head.weight"] = vlm["model.text_model.embed_tokens.weight"]  # tied
    torch.save({"vlm": vlm, "heads": masters.averaged(1), "step": step}, work / "weights.tmp")
    (work / "weights.tmp").replace(work / "weights.pt")


def _note(log, figures: dict) -> None:
    line = json.dumps(figures)
    print(line, flush=True)
    log.write(line + "\n")
    log.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True, help="folder of this stage's state, weights and log")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--stop", type=int, help="end after this step, though the schedule would go on")
    parser.add_argument("--from", dest="start", help="weights.pt of an earlier stage")
    parser.add_argument("--clip", type=Path, default=Path("shapes-clip"), help="folder whose vision tower is the eye to begin with")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json that all stages share; made anew without it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=24, help="sequences a step")
    parser.add_argument("--length", type=int, default=288, help="tokens a sequence")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--floor", type=float, default=0.01, help="the last learning rate as a share of the highest")
    parser.add_argument("--muon", action="store_true", help="move matrices by Muon instead of AdamW")
    parser.add_argument("--hold", type=int, default=0, help="steps before the learning rate begins to fall")
    parser.add_argument("--heads", type=float, default=0.1, help="weight of the training-only heads")
    parser.add_argument("--gaze", type=float, default=0.0, help="weight of directing two attention heads to what words refer to")
    parser.add_argument("--copying", type=float, default=0.0, help="weight of directing two more to what an answer repeats")
    parser.add_argument("--asking", type=float, default=0.0, help="weight of directing the beginnings of answers to what the question refers to and the answer names")
    parser.add_argument("--reading", type=float, default=0.0, help="weight of naming what image tokens show and references mean")
    parser.add_argument("--even", action="store_true", help="let the tokens of short answers weigh more")
    parser.add_argument("--tools", type=float, default=0.1, help="share of conversations with tools")
    parser.add_argument("--json", type=float, default=0.05, help="share of questions to be answered in JSON")
    parser.add_argument("--pointed", type=float, default=0.0, help="share of plain questions to be answered in JSON under keys that only a schema gives")
    parser.add_argument("--describing", type=float, default=1.0, help="share of the descriptions that stay, the rest making room for questions")
    parser.add_argument("--hard", type=float, default=1.0, help="how much more often than usual the hard families are asked")
    parser.add_argument("--hardest", type=float, default=1.0, help="how much more often again the hardest ones are asked")
    parser.add_argument("--two", type=float, default=0.18, help="share of conversations that begin with two pictures")
    parser.add_argument("--average", type=float, default=0.998, help="how much the running average of the weights keeps a step")
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=250)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    args.stop = args.stop or args.steps
    return args


if __name__ == "__main__":
    main()
