"""A plugin process that dies costs no request and disturbs no other model."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest

from conftest import ROOT, wait_until

BATCHES = "sensorium_batch_size_count"
REGISTRY = f"""
[[model]]
id = "canary"
plugin = "stub"
load = "eager"

[[model]]
id = "shapes-clip"
plugin = "candle"
source = {{ path = "{ROOT}/models/shapes-clip" }}
load = "eager"
queue = 512
batch = {{ max = 4 }}
"""


@pytest.fixture
def server(start):
    return start(REGISTRY, "--no-cache")


def embed(client, model: str, text: str):
    return client.post("/v1/embeddings", json={"model": model, "input": text})


async def burst_with_kill(server, model: str, plugin_pids: list[int], answered_before_kill: int) -> tuple[list, list]:
    """200 concurrent requests; SIGKILL once some have answered; a canary on another model all the while."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        burst = [asyncio.create_task(embed(client, model, f"request {i}")) for i in range(200)]
        canary = []

        async def sing():
            while not all(task.done() for task in burst):
                canary.append((await embed(client, "canary", "tweet")).status_code)
                await asyncio.sleep(0.05)

        singing = asyncio.create_task(sing())
        while sum(task.done() for task in burst) < answered_before_kill or server.metric(BATCHES, model=model) == 0:
            await asyncio.sleep(0.001)
        for pid in plugin_pids:
            os.kill(pid, signal.SIGKILL)
        statuses = [reply.status_code for reply in await asyncio.gather(*burst)]
        await singing
        return statuses, canary


@pytest.mark.parametrize("killed_after", [0, 30, 120])
def test_kill_in_the_middle_of_200_requests_loses_none(server, killed_after):
    [pid] = server.plugin_pids("candle")
    stub_pids = set(server.plugin_pids("stub"))
    statuses, canary = asyncio.run(burst_with_kill(server, "shapes-clip", [pid], killed_after))
    assert statuses == [200] * 200
    assert canary and set(canary) == {200}
    wait_until(lambda: server.plugin_pids("candle") not in ([], [pid]), "the model is back")
    assert httpx.post(f"{server.url}/v1/embeddings", json={"model": "shapes-clip", "input": "x"}).status_code == 200
    assert set(server.plugin_pids("stub")) == stub_pids, "other models saw nothing"
    assert server.metric("sensorium_instance_restarts_total", model="shapes-clip") == 1
    assert server.metric("sensorium_instance_restarts_total", model="canary") == 0


def test_results_after_a_crash_are_right(server):
    before = httpx.post(f"{server.url}/v1/embeddings", json={"model": "shapes-clip", "input": "a red circle"}).json()
    [pid] = server.plugin_pids("candle")
    os.kill(pid, signal.SIGKILL)
    after = httpx.post(f"{server.url}/v1/embeddings", json={"model": "shapes-clip", "input": "a red circle"}, timeout=60)
    assert after.status_code == 200
    assert after.json()["data"] == before["data"]


def test_no_plugin_outlives_the_host(server):
    pids = server.plugin_pids("stub") + server.plugin_pids("candle")
    assert len(pids) == 2
    server.process.kill()
    server.process.wait()
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the plugins have noticed that the host is gone")


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
