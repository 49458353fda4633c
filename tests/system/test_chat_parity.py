"""120 conversations about held-out scenes through the whole server: what transformers says on the same weights, token for
token, one at a time and many at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from shapes_vlm import ALIAS, EXPECTED, PROMPTS, check_weights, messages

TOLERANCE = 1e-3


@pytest.mark.parametrize("at_once", [1, 16])
def test_replies_are_those_of_transformers(server, at_once):
    check_weights()
    assert len(PROMPTS) >= 100

    def ask(prompt) -> dict:
        body = {"model": ALIAS, "messages": messages(prompt), "temperature": 0, "logprobs": True, "max_tokens": EXPECTED["max_tokens"]}
        return client.post("/v1/chat/completions", json=body).raise_for_status().json()

    with httpx.Client(base_url=server.url, timeout=120) as client, ThreadPoolExecutor(at_once) as pool:
        replies = list(pool.map(ask, PROMPTS))
    wrong = [difference for prompt, reply in zip(PROMPTS, replies) if (difference := differs(prompt, reply))]
    assert not wrong, f"{len(wrong)} of {len(PROMPTS)}: {wrong[:5]}"


def differs(prompt: dict, reply: dict) -> str | None:
    """What is not as expected, if anything is."""
    [choice], usage = reply["choices"], reply["usage"]
    made = choice["logprobs"]["content"]
    # The white space that a reply begins with is no part of it.
    tokens = "".join(entry["token"] for entry in made), [entry["token"].strip() for entry in made]
    expected = "".join(prompt["tokens"]), [token.strip() for token in prompt["tokens"]]
    if tokens[1] != expected[1] or tokens[0].strip() != expected[0].strip():
        return f"tokens {tokens[0]!r}, not {expected[0]!r}"
    if choice["message"]["content"].strip() != prompt["text"].strip():
        return f"text {choice['message']['content']!r}, not {prompt['text']!r}"
    counts = usage["prompt_tokens"], usage["completion_tokens"], usage["prompt_tokens_details"]["image_tokens"]
    if counts != (prompt["prompt_tokens"], prompt["completion_tokens"], prompt["image_tokens"]):
        return f"usage {usage}"
    furthest = max((abs(entry["logprob"] - value) for entry, value in zip(made, prompt["logprobs"])), default=0)
    if furthest >= TOLERANCE:
        return f"a log probability is {furthest} off"
    return None
