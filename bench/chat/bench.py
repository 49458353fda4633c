"""Chat about a picture: the mistralrs plugin against transformers on the same weights, side by side.

    bench/run.sh chat          or: python bench/chat/bench.py [--rounds 5] [--threads 2] [--tokens 64] [--model DIR]

The model is an Idefics3 of SmolVLM-256M's size with random weights, one 512 × 512 picture, 98 prompt tokens, a fixed
number of reply tokens, greedy. First the parity gate: the same tokens as transformers in f32. Then the contenders in
turn, A B C A B C …, each round with a picture that none has seen, then the same one again: each figure is the median
over the rounds, each ratio the median of the rounds' own ratios. At last the plugin behind the running server, one
request at a time and eight at once, with one instance of all threads and with one instance for each thread.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import httpx

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import model  # noqa: E402
from common import BIN, ROOT, median, sensorium, spread  # noqa: E402

QUESTION = "What is this?"
EXAMPLE = BIN / "examples" / "chat_speed"
# What is asked of us against transformers in f32, and of a repeated picture in seconds.
ASKED = {"f32": {"first": 1.0, "rate": 1.8}, "q8_0": {"first": 1.0, "rate": 2.5}}
ASKED_REPEAT = 0.3
CONCURRENCY = 8


class Contender:
    """A process with a loaded model that answers on request."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, pictures: list, tokens: int) -> dict:
        command = {"images": [str(path) for path in pictures], "question": QUESTION, "tokens": tokens}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"a contender ended early: {' '.join(self.process.args)}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def build_example() -> None:
    """The plugin behind a pipe is an example of its crate, compiled like everything else."""
    flags = ["--workspace", "--locked", "--profile", "release"]
    subprocess.run(["cargo", "build", *flags, "--example", "chat_speed"], cwd=ROOT, check=True)


def contenders(files: pathlib.Path, threads: int, bf16: bool) -> dict[str, Contender]:
    ours = {
        "f32": Contender(EXAMPLE, files, threads, "{}"),
        "q8_0": Contender(EXAMPLE, files, threads, json.dumps({"isq": "q8_0"})),
    }
    peers = {"torch": Contender(sys.executable, HERE / "peer.py", files, "f32", threads)}
    if bf16:
        peers["torch bf16"] = Contender(sys.executable, HERE / "peer.py", files, "bf16", threads)
    return ours | peers


def check_parity(running: dict[str, Contender], files: pathlib.Path, tokens: int) -> bool:
    """Also warms everybody up."""
    passed = True
    for index in range(2):
        pictures = [model.picture(files, index)]
        texts = {name: contender.ask(pictures, tokens)["answers"][0]["text"] for name, contender in running.items()}
        same = texts["f32"].strip() == texts["torch"].strip()
        passed &= same
        print(f"parity f32, picture {index}: {tokens} greedy tokens {'equal' if same else 'DIFFER'}")
    return passed


def figures(answer: dict) -> dict:
    reply = answer["answers"][0]
    return {
        "first": reply["first"],
        "rate": (reply["tokens"] - 1) / (reply["last"] - reply["first"]),
        "core first": answer["core_first"],
        "core ms/token": (answer["core_seconds"] - answer["core_first"]) / (reply["tokens"] - 1) * 1e3,
    }


def measure(running: dict[str, Contender], files: pathlib.Path, rounds: int, tokens: int) -> dict[str, list[dict]]:
    """Each contender's figures, round by round; `repeat` is the first token of the same picture asked again."""
    made: dict[str, list[dict]] = {name: [] for name in running}
    for index in range(rounds):
        picture = model.picture(files, 100 + index)
        for name, contender in running.items():
            # Thread pools that spin for a while after work must not spin into the next one's turn.
            time.sleep(0.25)
            fresh = figures(contender.ask([picture], tokens))
            time.sleep(0.25)
            made[name].append(fresh | {"repeat": figures(contender.ask([picture], 8))["first"]})
    return made


def report(made: dict[str, list[dict]]) -> list[dict]:
    print(f"\n{'contender':11} {'first token, s':>22} {'tokens/s':>20} {'repeat, s':>20} {'core-s first':>12} {'core-ms/token':>13}")
    rows = []
    for name, rounds in made.items():
        row = {key: [figure[key] for figure in rounds] for key in rounds[0]}
        print(
            f"{name:11} {spread(row['first']):>22} {spread(row['rate']):>20} {spread(row['repeat']):>20} "
            f"{median(row['core first']):12.2f} {median(row['core ms/token']):13.1f}"
        )
        rows.append({"contender": name} | row)
    for name, asked in ASKED.items():
        pairs = list(zip(made[name], made["torch"]))
        first = median([theirs["first"] / ours["first"] for ours, theirs in pairs])
        rate = median([ours["rate"] / theirs["rate"] for ours, theirs in pairs])
        for label, value, least in (("first token", first, asked["first"]), ("tokens/s", rate, asked["rate"])):
            print(f"{name:5} against torch f32, {label:12} {value:6.2f}×  ≥ {least}  {'reached' if value >= least else 'MISSED'}")
        again = median([ours["repeat"] for ours in made[name]])
        print(f"{name:5} repeated picture {again:.3f} s  ≤ {ASKED_REPEAT}  {'reached' if again <= ASKED_REPEAT else 'MISSED'}")
    return rows


def registry(files: pathlib.Path, instances: int, threads: int) -> pathlib.Path:
    path = files / f"models-{instances}.toml"
    devices = ", ".join(['"cpu"'] * instances)
    path.write_text(
        f'[[model]]\nid = "chat"\nplugin = "mistralrs"\nload = "eager"\nsource = {{ path = "{files}" }}\n'
        f'device = [{devices}]\ndtype = "f32"\nthreads = {threads}\n'
    )
    return path


async def stream(client: httpx.AsyncClient, url: str, picture: pathlib.Path, tokens: int) -> tuple[float, float, int]:
    """Seconds to the first and the last token, and how many there were."""
    uri = "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": QUESTION}]
    body = {
        "model": "chat", "messages": [{"role": "user", "content": content}], "temperature": 0, "max_tokens": tokens,
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip
    start, first, last, count = time.perf_counter(), 0.0, 0.0, 0
    async with client.stream("POST", f"{url}/v1/chat/completions", json=body) as reply:
        if reply.status_code != 200:
            sys.exit(f"{reply.status_code}: {(await reply.aread()).decode()}")
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            if any(choice["delta"].get("content") for choice in chunk["choices"]):
                last = time.perf_counter() - start
                first = first or last
            if chunk.get("usage"):
                count = chunk["usage"]["completion_tokens"]
    return first, last, count


async def load(url: str, pictures: list, tokens: int) -> list[tuple[float, float, int]]:
    async with httpx.AsyncClient(timeout=600) as client:
        return await asyncio.gather(*(stream(client, url, picture, tokens) for picture in pictures))


def serve(files: pathlib.Path, rounds: int, threads: int, tokens: int) -> None:
    """Each round: one request, then eight at once, all with pictures not seen before."""
    print(f"\nthrough the server, f32, {tokens} tokens a reply")
    for instances, each in ((1, threads), (threads, 1)):
        alone, together, fresh = [], [], 1000
        with sensorium(registry(files, instances, each)) as url:
            for index in range(rounds + 1):
                pictures = [model.picture(files, fresh + index * 100 + number) for number in range(CONCURRENCY + 1)]
                one = asyncio.run(load(url, pictures[:1], tokens))
                start = time.perf_counter()
                many = asyncio.run(load(url, pictures[1:], tokens))
                if index > 0:  # the first round warms up
                    alone.append(one[0])
                    together.append((sum(count for *_, count in many) / (time.perf_counter() - start), [f for f, *_ in many]))
        single = [count / last for _, last, count in alone]
        ratio = median([rate / base for (rate, _), base in zip(together, single)])
        print(
            f"{instances} × {each} threads: alone first {spread([first for first, *_ in alone])} s, {spread(single)} tokens/s in all; "
            f"{CONCURRENCY} at once {spread([rate for rate, _ in together])} tokens/s in all ({ratio:.2f}×), "
            f"first {spread([first for _, firsts in together for first in firsts])} s"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--model", type=pathlib.Path, help="a model made before; made anew by default")
    parser.add_argument("--bf16", action="store_true", help="transformers in bf16 too")
    parser.add_argument("--no-build", dest="build", action="store_false", help="take the example as it lies there")
    parser.add_argument("--no-serve", dest="serve", action="store_false", help="only the bare plugin")
    parser.add_argument("--json", type=pathlib.Path, help="also write the figures here")
    arguments = parser.parse_args()
    if arguments.build:
        build_example()
    with tempfile.TemporaryDirectory() as folder:
        files = arguments.model or pathlib.Path(folder)
        if not arguments.model:
            model.make(files)
        running = contenders(files, arguments.threads, arguments.bf16)
        passed = check_parity(running, files, arguments.tokens)
        rows = report(measure(running, files, arguments.rounds, arguments.tokens))
        for contender in running.values():
            contender.close()
        if arguments.serve:
            serve(files, max(1, arguments.rounds // 2), arguments.threads, arguments.tokens)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    if not passed:
        sys.exit("the parity gate failed")


if __name__ == "__main__":
    main()
