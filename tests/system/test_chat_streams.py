"""Many streams at once: those that are left don't disturb those that stay, and what nobody reads is not made."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal

import httpx
import pytest

from conftest import wait_until
from shapes_vlm import ENDLESS, MODEL, PROMPTS, REGISTRY, ask, messages

STREAMS = 32
RUNNING, GENERATED, RESTARTS = "sensorium_requests_running", "sensorium_generated_tokens_total", "sensorium_instance_restarts_total"


@pytest.fixture
def server(start):
    return start(REGISTRY)


def body(prompt_messages, **more) -> dict:
    return {"model": MODEL, "messages": prompt_messages, "temperature": 0, "stream": True, **more}


class Stream:
    """A reply as it comes: its text, whether it was done, and the error that it ended with."""

    def __init__(self):
        self.text, self.done, self.error, self.chunks = "", False, None, 0

    async def read(self, client: httpx.AsyncClient, request: dict, leave_after: int | None = None) -> "Stream":
        async with client.stream("POST", "/v1/chat/completions", json=request) as reply:
            assert reply.status_code == 200, await reply.aread()
            async for line in reply.aiter_lines():
                if not line.startswith("data: "):
                    continue
                if line == "data: [DONE]":
                    self.done = True
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    self.error = event["error"]
                    continue
                for choice in event["choices"]:
                    self.text += choice["delta"].get("content") or ""
                self.chunks += 1
                if leave_after is not None and self.chunks > leave_after:
                    break
        return self


def client_of(server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, timeout=120, limits=httpx.Limits(max_connections=None))


def idle(server) -> bool:
    return server.metric(RUNNING, model=MODEL) == 0


def test_half_of_the_streams_leave_and_the_others_are_as_alone(server):
    rng = random.Random(6)
    # Different lengths, so that replies end and leave at different times.
    requests = [body(messages(PROMPTS[i]), logit_bias=ENDLESS, max_tokens=rng.randint(40, 200)) for i in range(STREAMS)]
    leaves = {i: rng.randint(0, 30) for i in rng.sample(range(STREAMS), STREAMS // 2)}

    async def run():
        async with client_of(server) as client:
            alone = [await Stream().read(client, request) for request in requests]
            together = await asyncio.gather(*(Stream().read(client, r, leaves.get(i)) for i, r in enumerate(requests)))
            return alone, together

    alone, together = asyncio.run(run())
    for number, (one, other) in enumerate(zip(alone, together)):
        if number in leaves:
            assert one.text.startswith(other.text), number
        else:
            assert other.done and other.error is None and other.text == one.text, number
    wait_until(lambda: idle(server), "those that left are not worked on")
    assert server.metric(RESTARTS, model=MODEL) == 0


def test_a_client_that_leaves_stops_the_work(server):
    async def leave_some():
        async with client_of(server) as client:
            endless = body(ask("Describe the picture.", 0), logit_bias=ENDLESS, max_tokens=3000)
            await asyncio.gather(*(Stream().read(client, endless, leave_after=n) for n in (0, 1, 5, 20)))
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/v1/chat/completions", json={**endless, "stream": False}, timeout=httpx.Timeout(60, read=0.2))

    asyncio.run(leave_some())
    wait_until(lambda: idle(server), "nothing runs")
    made = server.metric(GENERATED, model=MODEL)
    assert 0 < made < 5 * 3000
    reply = httpx.post(f"{server.url}/v1/chat/completions", json=body(ask("What is this?", 1), stream=False), timeout=60)
    assert server.metric(GENERATED, model=MODEL) == made + reply.json()["usage"]["completion_tokens"], "no token came after"


def test_a_plugin_that_is_killed_ends_its_streams_with_an_error(server):
    [pid] = server.plugin_pids("mistralrs")
    endless = body(ask("Describe the picture.", 0), logit_bias=ENDLESS, max_tokens=1000)

    async def run():
        async with client_of(server) as client:
            whole = await Stream().read(client, endless)
            streams = [Stream() for _ in range(4)]
            reading = [asyncio.create_task(stream.read(client, endless)) for stream in streams]
            while not any(stream.text for stream in streams):
                await asyncio.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            await asyncio.gather(*reading)
            later = await asyncio.gather(*(Stream().read(client, body(messages(PROMPTS[i]))) for i in range(8)))
            return whole, streams, later

    whole, streams, later = asyncio.run(run())
    assert any(stream.error for stream in streams)
    for stream in streams:
        if stream.error:
            assert not stream.done and whole.text.startswith(stream.text)
            assert stream.error["code"] == "model_crashed" and set(stream.error) == {"message", "type", "param", "code"}
        else:  # nothing of it had been sent: it was made again
            assert stream.done and stream.text == whole.text
    for number, stream in enumerate(later):
        assert stream.done and stream.error is None
        assert stream.text.strip() == PROMPTS[number]["text"].strip()
    assert server.plugin_pids("mistralrs") not in ([], [pid])
    assert server.metric(RESTARTS, model=MODEL) == 1


def test_openai_python_raises_the_error_of_a_stream(server):
    import openai

    [pid] = server.plugin_pids("mistralrs")
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client, pytest.raises(openai.APIError) as caught:
        endless = ask("Describe the picture.", 0)
        for number, _ in enumerate(client.chat.completions.create(model=MODEL, messages=endless, stream=True, logit_bias=ENDLESS, max_tokens=3000)):
            if number == 5:
                os.kill(pid, signal.SIGKILL)
    assert caught.value.code == "model_crashed"
