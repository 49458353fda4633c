"""CLIP ViT-B/32 with random weights: the candle plugin against PyTorch, side by side on the same files.

    bench/run.sh clip          or: python bench/clip/bench.py [--rounds 7] [--threads 2] [--no-tuned] [--json FILE]

First the parity gate: cosine with transformers in f32, also after the reference's mean is subtracted. Then the
contenders in turn, A B C A B C …; each figure is the median over the rounds, each ratio the median of the rounds'
own ratios. Core-ms is processor time, all threads, per image or text.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import model  # noqa: E402
from common import BIN, ROOT, median  # noqa: E402

# Cosines that must be reached before anything is measured.
GATE = {"f32": 0.9999, "bf16": 0.999}
# Task, batch, times a round, and what is asked of us against PyTorch as it ships, by dtype.
WORK = [
    ("image", 32, 1, {"f32": 1.25, "bf16": 1.05}),
    ("image", 1, 8, {"f32": 1.0, "bf16": 1.0}),
    ("text", 32, 1, {"f32": 5.0, "bf16": 5.0}),
]
TEXT_TOKENS = 12
EXAMPLE = BIN / "examples" / "embed_speed"


class Contender:
    """A process with a loaded model that measures on request."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, task: str, count: int, repeat: int = 1, vectors: bool = False) -> dict:
        command = {"task": task, "count": count, "repeat": repeat, "vectors": vectors}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"a contender ended early: {' '.join(self.process.args)}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def build_example() -> pathlib.Path:
    """The plugin behind a pipe is an example of its crate, compiled like everything else."""
    flags = ["--workspace", "--locked", "--profile", "release"]
    subprocess.run(["cargo", "build", *flags, "--example", "embed_speed"], cwd=ROOT, check=True)
    return EXAMPLE


def operands(files: pathlib.Path, dtype: str, threads: int) -> list:
    """What every contender is told."""
    return [files, dtype, threads, files / "images.rgb", files / "tokens.json"]


def contenders(files: pathlib.Path, dtype: str, threads: int, tuned: bool, example: pathlib.Path) -> dict[str, Contender]:
    shared = operands(files, dtype, threads)
    peer = [sys.executable, HERE / "peer.py", *shared]
    result = {"ours": Contender(example, *shared), "torch": Contender(*peer, "ships")}
    if tuned:
        result["tuned"] = Contender(*peer, "tuned")
    return result


def cosines(made: list, expected: list) -> tuple[float, float]:
    """The lowest cosine between rows of the same index, plain and after subtracting the mean of `expected`."""
    made, expected = np.array(made, np.float64), np.array(expected, np.float64)

    def lowest(a, b):
        return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())

    mean = expected.mean(0)
    return lowest(made, expected), lowest(made - mean, expected - mean)


def check_parity(ours: Contender, dtype: str, reference: dict[str, list]) -> bool:
    passed = True
    for task, expected in reference.items():
        plain, centred = cosines(ours.ask(task, len(expected), vectors=True)["vectors"], expected)
        ok = plain >= GATE[dtype]
        passed &= ok
        print(f"parity {dtype:4} {task:5} cosine {plain:.7f}, mean subtracted {centred:.7f}  {'ok' if ok else 'FAILED'}")
    return passed


def measure(running: dict[str, Contender], task: str, count: int, repeat: int, rounds: int) -> dict[str, dict]:
    """Medians by contender, and the median over rounds of ours against each."""
    for contender in running.values():
        contender.ask(task, count, 2)
    rates = {name: [] for name in running}
    cores = {name: [] for name in running}
    for _ in range(rounds):
        for name, contender in running.items():
            # Thread pools that spin for a while after work must not spin into the next one's turn.
            time.sleep(0.25)
            answer = contender.ask(task, count, repeat)
            rates[name].append(count * repeat / sum(answer["seconds"]))
            cores[name].append(answer["core_seconds"] * 1e3 / (count * repeat))
    return {
        name: {
            "rate": median(rates[name]),
            "core_ms": median(cores[name]),
            "ratio": median([a / b for a, b in zip(rates["ours"], rates[name])]),
            "core_ratio": median([b / a for a, b in zip(cores["ours"], cores[name])]) if median(cores["ours"]) else None,
        }
        for name in running
    }


def report(rows: list[dict]) -> None:
    print(f"\n{'work':24} {'contender':9} {'per second':>10} {'core-ms':>8} {'ours is':>8} {'by cores':>8}  asked")
    for row in rows:
        for name, figures in row["figures"].items():
            line = f"{row['work']:24} {name:9} {figures['rate']:10.1f} {figures['core_ms']:8.2f}"
            if name != "ours":
                line += f" {figures['ratio']:7.2f}× {figures['core_ratio'] or 0:7.2f}×"
            if name == "torch":
                line += f"  ≥ {row['asked']}  {'reached' if figures['ratio'] >= row['asked'] else 'MISSED'}"
            print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-tuned", dest="tuned", action="store_false", help="only PyTorch as it ships")
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--no-build", dest="build", action="store_false", help="take the example as it lies there")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    arguments = parser.parse_args()
    example = build_example() if arguments.build else EXAMPLE
    rows, passed = [], True
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(folder)
        model.make(files)
        model.inputs(files, 32, TEXT_TOKENS - 2)
        exact = Contender(sys.executable, HERE / "peer.py", *operands(files, "f32", arguments.threads), "ships")
        reference = {task: exact.ask(task, 32, vectors=True)["vectors"] for task in ("image", "text")}
        exact.close()
        for dtype in sorted(arguments.dtypes, key=["f32", "bf16"].index):
            running = contenders(files, dtype, arguments.threads, arguments.tuned, example)
            passed &= check_parity(running["ours"], dtype, reference)
            for task, count, repeat, asked in WORK:
                label = f"{task} {dtype}, batch {count}"
                figures = measure(running, task, count, repeat, arguments.rounds)
                rows.append({"work": label, "asked": asked[dtype], "figures": figures})
            for contender in running.values():
                contender.close()
    report(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if not passed:
        sys.exit("the parity gate failed")


if __name__ == "__main__":
    main()
