"""What the benchmarks share: starting servers, driving them with wrk, medians and ratios of alternating rounds."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time

import httpx

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SENSORIUM_BIN", ROOT / "target" / "release")).resolve()
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclasses.dataclass
class Load:
    """What wrk measured: answers a second, latencies in seconds, answers that were not 2xx."""

    rate: float
    p50: float
    p99: float
    errors: int


def wrk(url: str, script: pathlib.Path, connections: int, seconds: float, *arguments: str) -> Load:
    """Closed-loop load: each of `connections` sends its next request when its last is answered."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s", "--latency", "-s", str(script), url]
    output = subprocess.run([*command, "--", *map(str, arguments)], capture_output=True, text=True, check=True).stdout
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    return Load(
        rate=float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]),
        p50=_latency(output, "50%"),
        p99=_latency(output, "99%"),
        errors=int(errors[1]) if errors else 0,
    )


def _latency(output: str, percentile: str) -> float:
    value, unit = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)", output).groups()
    return float(value) * UNITS[unit]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(command: list, url: str, ready: str, cwd: pathlib.Path = ROOT):
    """Runs a server until the block ends; waits until `ready` answers 200."""
    process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 120
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(url + ready).status_code == 200:
                    break
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"{command[0]} did not become ready")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def sensorium(registry: pathlib.Path, *flags: str):
    """Runs the host with a registry, the embedding cache off; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [BIN / "sensorium", "serve", "--registry", registry, "--listen", f"127.0.0.1:{port}", "--no-cache", *flags]
    with serving(command, url, "/readyz"):
        yield url


def alternate(rounds: int, **contenders) -> dict[str, list]:
    """Calls the contenders in turn, A B A B …; returns what each returned, round by round."""
    results: dict[str, list] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            results[name].append(contender())
    return results


def median(values) -> float:
    return statistics.median(values)


def spread(values) -> str:
    """`median [minimum, maximum]`."""
    return f"{median(values):.4g} [{min(values):.4g}, {max(values):.4g}]"


def cpu_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
