"""What a training stage keeps: a resumable state, weights for what comes next, a log; and its learning rate."""

import json
import math
import time
from pathlib import Path

import torch


def resume(work: Path, masters) -> int:
    """Makes the stage's folder, or loads the state in it; the number of steps done."""
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "state.pt").exists():
        return 0
    state = torch.load(work / "state.pt")
    masters.load(state["masters"])
    return state["step"]


def keep(work: Path, masters, step: int, names: tuple[str, ...]) -> None:
    """`state.pt` to go on from, and `weights.pt` with the averaged weights of each module under its name."""
    torch.save({"masters": masters.state(), "step": step}, work / "state.tmp")
    (work / "state.tmp").replace(work / "state.pt")
    torch.save({"step": step} | {name: masters.averaged(k) for k, name in enumerate(names)}, work / "weights.tmp")
    (work / "weights.tmp").replace(work / "weights.pt")


def cosine(step: int, args) -> float:
    """The learning rate: a warm-up, then half a cosine from `args.lr` to its share `args.floor`."""
    falling = 0.5 * (1 + math.cos(math.pi * step / args.steps))
    return args.lr * min(1.0, (step + 1) / args.warmup) * (args.floor + (1 - args.floor) * falling)


class Log:
    """Lines of JSON, on the screen and in `log.jsonl`."""

    def __init__(self, work: Path, done: int):
        self.file = (work / "log.jsonl").open("a")
        self.began, self.done = time.monotonic(), done

    def note(self, step: int, figures: dict) -> None:
        """Writes the step, its figures (tensors of one number) and the seconds per step since the start."""
        pace = (time.monotonic() - self.began) / (step - self.done)
        line = json.dumps({"step": step, **{k: round(v.item(), 4) for k, v in figures.items()}, "seconds_per_step": round(pace, 3)})
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()
