"""The host alone: the stub plugin behind Sensorium against the same echo in FastAPI.

Both answer `POST /v1/embeddings` with a deterministic vector of 64 numbers made from a hash of the text; Sensorium
does so through a plugin process, FastAPI inside the handler (uvloop, httptools, pydantic models, one worker: as
`uvicorn app:app` starts it).
"""

from __future__ import annotations

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from common import alternate, free_port, median, sensorium, serving, spread, wrk  # noqa: E402

REGISTRY = '[[model]]\nid = "echo"\nplugin = "stub"\nload = "eager"\nqueue = 1024\noptions = { width = 64 }\n'
ROUNDS = 5
SECONDS = 4


def main() -> None:
    script = HERE / "embed.lua"
    port = free_port()
    peer = f"http://127.0.0.1:{port}"
    uvicorn = [sys.executable, "-m", "uvicorn", "echo:app", "--port", port, "--log-level", "warning"]
    with tempfile.TemporaryDirectory() as folder:
        registry = pathlib.Path(folder) / "models.toml"
        registry.write_text(REGISTRY)
        with sensorium(registry) as ours, serving(uvicorn, peer, "/livez", cwd=HERE):
            for connections in (1, 64):
                results = alternate(
                    ROUNDS,
                    sensorium=lambda c=connections: wrk(f"{ours}/v1/embeddings", script, c, SECONDS),
                    fastapi=lambda c=connections: wrk(f"{peer}/v1/embeddings", script, c, SECONDS),
                )
                report(connections, results)


def report(connections: int, results: dict) -> None:
    print(f"\nconcurrency {connections}, {ROUNDS} alternating rounds of {SECONDS} s: median [min, max]")
    for name, rounds in results.items():
        assert all(load.errors == 0 for load in rounds), f"{name} answered with errors"
        print(
            f"  {name:<10} requests/s {spread([r.rate for r in rounds])}   p50 µs {spread([r.p50 * 1e6 for r in rounds])}"
            f"   p99 µs {spread([r.p99 * 1e6 for r in rounds])}"
        )
    ratio = median([a.rate / b.rate for a, b in zip(results["sensorium"], results["fastapi"])])
    print(f"  requests/s, sensorium / fastapi: {ratio:.2f}")


if __name__ == "__main__":
    main()
