"""What serving costs: CLIP ViT-B/32 over HTTP with base64 JPEGs against the bare model in a process of its own.

Served: `POST /v1/embeddings`, one 640×480 JPEG a request as a data URI, base64 vectors back, 32 requests at a time from
wrk; the cache is off. Bare: the same plugin code at the end of a pipe, batches of 32, pixels ready in memory. Both on
the same files with the same threads, in turn. The client and the decoding of JPEGs run on the same cores, so
their cost counts against serving.

Of 32 requests in a closed loop one half is computed while the other is prepared, so batches hold about 16. What that
alone costs is the bare model at 16 against itself at 32; what the processes used tells the rest.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import pathlib
import sys
import tempfile
import time

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "clip")]

import model  # noqa: E402
from bench import Contender, build_example  # noqa: E402  (of bench/clip)
from common import median, sensorium, spread, wrk  # noqa: E402

CONCURRENCY = 32
SECONDS = 8
ASKED = 0.9


def write_bodies(path: pathlib.Path, count: int, seed: int = 3) -> None:
    """Requests of JPEGs with the detail of a photograph (about 60 kB each), a line each."""
    rng = np.random.default_rng(seed)
    with path.open("w") as lines:
        for _ in range(count):
            octaves = [
                np.asarray(Image.fromarray(rng.integers(0, 256, (3 * 2**k, 4 * 2**k, 3), np.uint8)).resize((640, 480)), float)
                for k in range(1, 7)
            ]
            weights = 0.6 ** np.arange(len(octaves))
            picture = sum(w * o for w, o in zip(weights, octaves)) / weights.sum()
            file = io.BytesIO()
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
            uri = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
            lines.write(json.dumps({"model": "clip", "input": uri, "encoding_format": "base64"}) + "\n")


def registry(files: pathlib.Path, dtype: str) -> str:
    return (
        f'[[model]]\nid = "clip"\nplugin = "candle"\nload = "eager"\nsource = {{ path = "{files}" }}\n'
        f'dtype = "{dtype}"\nbatch = {{ max = 32 }}\nthreads = 2\n'
    )


def compare(files: pathlib.Path, dtype: str, rounds: int, example: pathlib.Path) -> None:
    path = files / f"models-{dtype}.toml"
    path.write_text(registry(files, dtype))
    bare = Contender(example, files, dtype, 2, files / "images.rgb", files / "tokens.json")
    served_rates, bare_rates, half_rates = [], [], []
    with sensorium(path) as url:
        for index in range(rounds + 1):
            load = wrk(f"{url}/v1/embeddings", HERE / "images.lua", CONCURRENCY, SECONDS, files / "bodies")
            assert load.errors == 0, f"{load.errors} requests failed"
            whole, half = (bare_rate(bare, batch) for batch in (32, 16))
            if index > 0:  # the first round warms up
                served_rates.append(load.rate)
                bare_rates.append(whole)
                half_rates.append(half)
    bare.close()
    ratio = median([served / alone for served, alone in zip(served_rates, bare_rates)])
    verdict = "reached" if ratio >= ASKED else "MISSED"
    print(f"{dtype:5} served {spread(served_rates)} images/s   bare {spread(bare_rates)}   ratio {ratio:.3f}  ≥ {ASKED} {verdict}")
    smaller = median([half / whole for half, whole in zip(half_rates, bare_rates)])
    alike = median([served / half for served, half in zip(served_rates, half_rates)])
    print(f"      bare at 16 {spread(half_rates)} images/s, {smaller:.3f} of 32; served against it {alike:.3f}")


def bare_rate(bare: Contender, batch: int) -> float:
    """Images a second over 128 images, after a pause in which thread pools stop spinning."""
    time.sleep(0.25)
    calls = 128 // batch
    return batch * calls / sum(bare.ask("image", batch, calls)["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    arguments = parser.parse_args()
    example = build_example()
    with tempfile.TemporaryDirectory() as folder:
        files = pathlib.Path(folder)
        model.make(files)
        model.inputs(files, 32, 10)
        write_bodies(files / "bodies", 64)
        print(f"concurrency {CONCURRENCY}, {arguments.rounds} alternating rounds: median [min, max]")
        for dtype in arguments.dtypes:
            compare(files, dtype, arguments.rounds, example)


if __name__ == "__main__":
    main()
