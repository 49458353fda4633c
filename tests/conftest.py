"""Starts a real server for the tests: the host, its plugins and the bundled models, on a free port."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import subprocess
import time

import httpx
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("SENSORIUM_BIN", ROOT / "target" / "release"))
REGISTRY = pathlib.Path(os.environ.get("SENSORIUM_REGISTRY", ROOT / "models.toml"))
START_TIMEOUT_S = 120


class Server:
    """A running `sensorium serve`; `url` is its address without a trailing slash."""

    def __init__(self, registry: pathlib.Path, log: pathlib.Path, *flags: str, env: dict[str, str] | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        command = [BIN / "sensorium", "serve", "--registry", registry, "--listen", f"127.0.0.1:{port}", *flags]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})})

    def wait_ready(self) -> "Server":
        """Waits until every eager model has answered a real request."""
        wait_until(lambda: self.process.poll() is not None or self._ready(), "the server is ready", START_TIMEOUT_S)
        if self.process.poll() is not None:
            raise RuntimeError(f"the server stopped:\n{self.log.read_text()}")
        return self

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in httpx.get(f"{self.url}/metrics").text.splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(f'{k}="{v}"' in head for k, v in labels.items()):
                total += float(value)
        return total

    def plugin_pids(self, plugin: str) -> list[int]:
        """Processes of a plugin that this server started."""
        found = []
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
                command = (status.parent / "cmdline").read_bytes().split(b"\0")[0].decode()
            except OSError:
                continue
            if fields["PPid"].strip() == str(self.process.pid) and command.endswith(f"sensorium-{plugin}"):
                found.append(int(status.parent.name))
        return found

    def stop(self) -> int:
        """Asks it to stop, and says with which status it did."""
        self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def wait_until(condition, what: str, timeout_s: float = 60):
    """Polls until the condition holds; fails with `what` once the bound is reached."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {timeout_s} s until {what}")
        time.sleep(0.02)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """The default registry, as `make run` serves it."""
    running = Server(REGISTRY, tmp_path_factory.mktemp("server") / "log")
    yield running.wait_ready()
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture
def start(tmp_path):
    """Starts servers with a registry of the test's own; stops them after it."""
    servers = []

    def run(registry: str, *flags: str, env: dict[str, str] | None = None) -> Server:
        path = tmp_path / f"registry-{len(servers)}.toml"
        path.write_text(registry)
        servers.append(Server(path, path.with_suffix(".log"), *flags, env=env))
        return servers[-1].wait_ready()

    yield run
    for running in servers:
        if running.process.poll() is None:
            running.stop()


# Stands in for models that make images and that rank them, under the names that the bundled ones have.
PAINTER = """
[[model]]
id = "painter"
aliases = ["gpt-image-1", "dall-e-3", "dall-e-2"]
plugin = "stub"
load = "eager"
options = { tasks = ["image"], image = { default_side = 128, step_latency = "1ms" } }

[[model]]
id = "judge"
plugin = "stub"
load = "eager"
"""


@pytest.fixture(scope="session", params=["stub", "bundled"])
def painter(request, tmp_path_factory):
    """A server whose `gpt-image-1` makes images: the stub, and the bundled model."""
    if request.param == "bundled":
        yield request.getfixturevalue("server")
        return
    folder = tmp_path_factory.mktemp("painter")
    (folder / "models.toml").write_text(PAINTER)
    running = Server(folder / "models.toml", folder / "log")
    yield running.wait_ready()
    assert running.stop() == 0, running.log.read_text()


@pytest.fixture(scope="session")
def examples() -> list[tuple[pathlib.Path, str]]:
    """Pictures of held-out scenes with a caption that is true of each."""
    folder = ROOT / "models" / "examples"
    scenes = json.loads((folder / "captions.json").read_text())
    return [(folder / scene["file"], scene["caption"]) for scene in scenes]
