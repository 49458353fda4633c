"""Hostile chat requests: none is answered by a 5xx, none ends the plugin, and memory stays flat.

FUZZ_REQUESTS says how many (default 300; the whole run is 2000), FUZZ_SEED which ones.
"""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import random

import httpx
import pytest

import hostile
from conftest import ROOT, wait_until
from shapes_vlm import MODEL, PROMPTS, REGISTRY, messages

COUNT = int(os.environ.get("FUZZ_REQUESTS", "300"))
SEED = int(os.environ.get("FUZZ_SEED", "0"))
AT_ONCE = 8
MIB = 1024 * 1024
# Memory is read after each of so many parts, while nothing runs.
PARTS = 8
# By how much the lesser of the last two readings may lie above the greatest of the first half: what three parts may leave.
GROWTH = 32 * MIB
RUNNING, RESTARTS = "sensorium_requests_running", "sensorium_instance_restarts_total"


@pytest.fixture
def server(start):
    return start(REGISTRY)


def memory(pid: int) -> int:
    """Resident bytes."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def send(client: httpx.AsyncClient, number: int) -> str | None:
    """Sends one request, and sometimes leaves before the reply is whole. Returns what is wrong, if anything is."""
    rng = random.Random(f"way {number}")
    # JSON may say in escapes what UTF-8 can't.
    body = json.dumps(hostile.request(number), ensure_ascii=True)
    leaves = rng.random() < 0.2
    try:
        async with asyncio.timeout(rng.random() ** 3 * 0.5 if leaves else 120):
            headers = {"content-type": "application/json"}
            async with client.stream("POST", "/v1/chat/completions", content=body, headers=headers) as reply:
                text = (await reply.aread()).decode()
    except TimeoutError:
        return None if leaves else f"{number}: no reply"
    except httpx.TransportError as error:
        return f"{number}: {error!r}"
    return judge(number, reply, text)


def judge(number: int, reply: httpx.Response, text: str) -> str | None:
    """Every reply is one that a client can read."""
    if reply.status_code >= 500 or reply.status_code not in (200, 400, 404, 413, 429):
        return f"{number}: {reply.status_code} {text[:300]}"
    if reply.status_code == 429:
        return None if "retry-after" in reply.headers else f"{number}: 429 without retry-after"
    if reply.status_code != 200:
        error = json.loads(text)["error"]
        good = set(error) == {"message", "type", "param", "code"} and error["message"] and str(ROOT) not in text and ".sock" not in text
        return None if good else f"{number}: {text[:300]}"
    if reply.headers["content-type"].startswith("text/event-stream"):
        events = [line.removeprefix("data: ") for line in text.split("\n") if line.startswith("data: ")]
        if events[-1] != "[DONE]":
            error = json.loads(events[-1]).get("error", {})
            return None if error.get("type") == "invalid_request_error" else f"{number}: the stream ends with {events[-1][:300]}"
        for event in events[:-1]:
            json.loads(event)
        return None
    choices = json.loads(text)["choices"]
    reasons = {choice["finish_reason"] for choice in choices}
    return None if choices and reasons <= {"stop", "length", "tool_calls"} else f"{number}: {text[:300]}"


async def send_all(server, numbers) -> list[str]:
    waiting, wrong = list(reversed(numbers)), []
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=120, limits=limits) as client:

        async def worker():
            while waiting:
                problem = await send(client, waiting.pop())
                if problem:
                    wrong.append(problem)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return wrong


def test_hostile_requests_harm_nobody(server):
    [plugin] = server.plugin_pids("mistralrs")
    pids = {"host": server.process.pid, "plugin": plugin}
    numbers = list(range(SEED * 1_000_000, SEED * 1_000_000 + COUNT))
    wrong, levels = asyncio.run(send_all(server, numbers[: COUNT // 4])), []  # the first quarter warms up
    for part in range(PARTS):
        wrong += asyncio.run(send_all(server, numbers[COUNT // 4 :][part::PARTS]))
        wait_until(lambda: server.metric(RUNNING, model=MODEL) == 0, "nothing runs")
        levels.append({name: memory(pid) for name, pid in pids.items()})
    assert not wrong, f"{len(wrong)} of {COUNT}: " + "\n".join(wrong[:20])
    assert server.plugin_pids("mistralrs") == [plugin] and server.metric(RESTARTS, model=MODEL) == 0
    print([{name: level[name] // MIB for name in pids} for level in levels])
    # What allocators keep comes and goes, and first grows to what the largest requests need; what is lost stays.
    early, late = levels[: PARTS // 2], levels[-2:]
    for name in pids:
        assert min(level[name] for level in late) < max(level[name] for level in early) + GROWTH, (name, levels)
    body = {"model": MODEL, "messages": messages(PROMPTS[0]), "temperature": 0}
    said = httpx.post(f"{server.url}/v1/chat/completions", json=body, timeout=60).json()["choices"][0]["message"]["content"]
    assert said.strip() == PROMPTS[0]["text"].strip()
