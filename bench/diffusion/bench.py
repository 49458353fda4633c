"""Diffusion: the torch plugin's pipeline against diffusers on the same weights, side by side.

    bench/run.sh diffusion      or: python bench/diffusion/bench.py [--rounds 5] [--images 1] [--threads 2] [--model DIR]

A Stable Diffusion 1.5 of real size with random weights. Per number format: guided steps at 512 × 512 (batch of two, 64 × 64
latents) in turn, ours, diffusers as it ships, ours, diffusers tuned (channels-last, inference mode), then whole images of 20
steps likewise. Figures are medians over the rounds, ratios the medians of the rounds' own ratios. Memory is the peak of
each process after its first image. Parity is not tested here: `cargo test -p sensorium-torch` does it.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from common import BIN, ROOT, median, spread  # noqa: E402

EXAMPLE = BIN / "examples" / "denoise_speed"
# What is asked of us against diffusers: times faster than as shipped, than tuned; share of its memory.
ASKED_SHIPPED, ASKED_TUNED, ASKED_MEMORY = 1.1, 1.0, 0.8


class Contender:
    """A process with a loaded pipeline that works on request."""

    def __init__(self, *command):
        command = [str(part) for part in command]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, **order) -> dict:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"a contender ended early: {' '.join(self.process.args)}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def rounds(ours: Contender, peer: Contender, count: int, **order) -> list[dict]:
    """Seconds of each, in turn; each peer's figure stands beside ours from just before."""
    made = []
    for index in range(count):
        figures = {}
        for name, tuned in (("shipped", False), ("tuned", True)):
            figures[f"ours beside {name}"] = ours.ask(seed=2 * index + tuned, **order)["seconds"]
            figures[name] = peer.ask(seed=2 * index + tuned, tuned=tuned, **order)["seconds"]
        made.append(figures)
    return made


def report(label: str, made: list[dict]) -> dict:
    row = {"work": label}
    ours = [figures[f"ours beside {name}"] for figures in made for name in ("shipped", "tuned")]
    text = f"{label:12} ours {spread(ours)} s"
    for name, asked in (("shipped", ASKED_SHIPPED), ("tuned", ASKED_TUNED)):
        ratio = median([figures[name] / figures[f"ours beside {name}"] for figures in made])
        theirs = [figures[name] for figures in made]
        text += f"; {name} {spread(theirs)} s, {ratio:.2f}× ≥ {asked} {'reached' if ratio >= asked else 'MISSED'}"
        row |= {name: theirs, f"{name} ratio": ratio}
    print(text, flush=True)
    return row | {"ours": ours}


def measure(files: pathlib.Path, dtype: str, arguments: argparse.Namespace) -> list[dict]:
    ours = Contender(EXAMPLE, files, dtype, arguments.threads)
    peer = Contender(sys.executable, HERE / "peer.py", files, dtype, arguments.threads)
    order = {"side": arguments.side, "steps": arguments.steps}
    for contender in (ours, peer):  # warms up
        contender.ask(work="step", seed=99, **order)
    rows = [report(f"step {dtype}", rounds(ours, peer, arguments.rounds, work="step", **order))]
    if arguments.images:
        first = [contender.ask(work="image", seed=98, **order)["peak_bytes"] for contender in (ours, peer)]
        share = first[0] / first[1]
        verdict = "reached" if share <= ASKED_MEMORY else "MISSED"
        print(f"memory {dtype:5} ours {first[0] / 1e9:.2f} GB; diffusers {first[1] / 1e9:.2f} GB, {share:.2f} ≤ {ASKED_MEMORY} {verdict}")
        rows.append({"work": f"memory {dtype}", "ours": first[0], "shipped": first[1]})
        rows.append(report(f"image {dtype}", rounds(ours, peer, arguments.images, work="image", **order)))
    for contender in (ours, peer):
        contender.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=1, help="rounds of whole images; 0 for none")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--model", type=pathlib.Path, help="a model made before; made anew by default")
    parser.add_argument("--no-build", dest="build", action="store_false", help="take the example as it lies there")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    arguments = parser.parse_args()
    if arguments.build:
        flags = ["--workspace", "--locked", "--profile", "release"]
        subprocess.run(["cargo", "build", *flags, "--example", "denoise_speed"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as folder:
        files = arguments.model or pathlib.Path(folder) / "model"
        if not arguments.model:
            subprocess.run([sys.executable, HERE / "model.py", files], check=True)
        rows = [row for dtype in arguments.dtypes for row in measure(files, dtype, arguments)]
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
