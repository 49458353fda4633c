"""Chat with openai-python, unmodified: pictures, streams, tools, shapes of replies, log probabilities, errors."""

from __future__ import annotations

import asyncio
import enum
import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import openai
import pydantic
import pytest

from shapes_vlm import ALIAS, ENDLESS, PROMPTS, REGISTRY, ask, image_part, longest, messages, picture, text_part

PARSED = 100
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Paris", "Oslo", "Lima"]},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
COUNT = {
    "type": "function",
    "function": {
        "name": "count_shapes",
        "parameters": {
            "type": "object",
            "properties": {"shape": {"enum": ["circle", "square", "star"]}, "at_most": {"type": "integer", "minimum": 0, "maximum": 9}},
            "required": ["shape", "at_most"],
            "additionalProperties": False,
        },
    },
}


def connect(server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def client(server):
    with connect(server) as client:
        yield client


def chat(client, messages, **more):
    return client.chat.completions.create(model=ALIAS, messages=messages, **more)


def says(client, messages, **more) -> str:
    return chat(client, messages, **more).choices[0].message.content


# --- replies ------------------------------------------------------------------------------------------------------


def test_the_model_is_listed_under_its_names(client):
    assert {"shapes-vlm", ALIAS} <= {model.id for model in client.models.list()}


def test_a_picture_is_described(client):
    prompt = longest()
    reply = chat(client, messages(prompt), temperature=0)
    [choice] = reply.choices
    assert reply.object == "chat.completion" and reply.id and reply.created and reply.system_fingerprint
    assert choice.message.role == "assistant" and choice.message.refusal is None and not choice.message.tool_calls
    assert choice.message.content.strip() == prompt["text"].strip()
    assert choice.finish_reason == "stop" and choice.logprobs is None
    usage = reply.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (prompt["prompt_tokens"], prompt["completion_tokens"])
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert usage.prompt_tokens_details.to_dict()["image_tokens"] == prompt["image_tokens"]
    assert 0 <= usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens


def test_the_way_of_a_picture_makes_no_difference(client):
    question = text_part("Describe the picture.")
    plain = says(client, [{"role": "user", "content": [image_part(picture(0)), question]}], temperature=0)
    bare = {"type": "image_url", "image_url": {"url": picture(0).partition(",")[2]}}
    for part in (image_part(picture(0), detail="high"), image_part(picture(0), detail="low"), bare):
        assert says(client, [{"role": "user", "content": [part, question]}], temperature=0) == plain
    system = [{"role": "developer", "content": "Be brief."}, {"role": "user", "name": "ann", "content": [question, image_part(picture(0))]}]
    assert says(client, system, temperature=0)


def test_two_pictures_and_several_turns(client):
    two = next(p for p in PROMPTS if sum(isinstance(part, int) for m in p["messages"] for part in m["parts"]) == 2)
    turns = next(p for p in PROMPTS if len(p["messages"]) >= 5)
    for prompt in (two, turns):
        assert says(client, messages(prompt), temperature=0).strip() == prompt["text"].strip()


def test_several_choices(client):
    # The model is sure of a description, but not of what comes after its end.
    request = {"n": 4, "seed": 7, "temperature": 2, "logit_bias": ENDLESS, "max_completion_tokens": 40}
    reply = chat(client, ask("Describe the picture.", 0), **request)
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    texts = [choice.message.content for choice in reply.choices]
    assert len(set(texts)) > 1, "choices are drawn apart"
    again = chat(client, ask("Describe the picture.", 0), **request)
    assert [choice.message.content for choice in again.choices] == texts
    assert reply.usage.completion_tokens <= 4 * 40 and reply.usage.prompt_tokens < 100


def test_stop_strings_end_a_reply_and_never_leak(client):
    prompt = longest()
    whole = says(client, messages(prompt), temperature=0)
    for stop in ([" in the"], ["in the", "zzz"], whole[10:14], [whole[14:18], whole[6:9]]):
        first = min(whole.find(s) for s in ([stop] if isinstance(stop, str) else stop) if s in whole)
        reply = chat(client, messages(prompt), temperature=0, stop=stop)
        assert reply.choices[0].message.content == whole[:first]
        assert reply.choices[0].finish_reason == "stop"
        pieces = [c.choices[0].delta.content or "" for c in chat(client, messages(prompt), temperature=0, stop=stop, stream=True)]
        assert "".join(pieces) == whole[:first]


@pytest.mark.parametrize("limit", ["max_completion_tokens", "max_tokens"])
def test_a_limit_of_tokens(client, limit):
    reply = chat(client, messages(longest()), temperature=0, **{limit: 3})
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.completion_tokens == 3


def test_logit_bias_bans_tokens(client):
    reply = chat(client, ask("Describe the picture.", 0), logit_bias=ENDLESS, temperature=0, max_tokens=150)
    assert reply.choices[0].finish_reason == "length" and reply.usage.completion_tokens == 150


def test_unknown_fields_are_ignored(client):
    assert says(client, ask("What is this?", 1), user="ann", store=False, metadata={"a": "b"}, extra_body={"nobody_knows": {"this": 1}})


def test_a_text_is_completed(client):
    made = client.completions.create(model=ALIAS, prompt="<the> red", max_tokens=5, temperature=0)
    assert made.object == "text_completion" and made.choices[0].finish_reason in ("length", "stop")
    assert made.usage.completion_tokens <= 5
    pieces = client.completions.create(model=ALIAS, prompt="<the> red", max_tokens=5, temperature=0, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == made.choices[0].text
    several = client.completions.create(model=ALIAS, prompt=["a", "b"], n=2, max_tokens=2)
    assert [choice.index for choice in several.choices] == [0, 1, 2, 3]


# --- streams ------------------------------------------------------------------------------------------------------


def test_a_stream_is_the_reply_in_pieces(client):
    prompt = longest()
    chunks = list(chat(client, messages(prompt), temperature=0, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1 and {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    *body, last = chunks
    assert last.choices == [] and all(chunk.usage is None for chunk in body)
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (prompt["prompt_tokens"], prompt["completion_tokens"])
    assert body[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in body).strip() == prompt["text"].strip()
    reasons = [chunk.choices[0].finish_reason for chunk in body]
    assert reasons[-1] == "stop" and set(reasons[:-1]) == {None}
    assert sum(bool(chunk.choices[0].delta.content) for chunk in body) > 5, "it comes token by token"


def test_a_stream_without_usage_has_none(client):
    chunks = list(chat(client, ask("What is this?", 1), stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_a_stream_of_several_choices(client):
    texts = {0: "", 1: ""}
    for chunk in chat(client, ask("What is this?", 1), stream=True, n=2, temperature=0):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts[0] and texts[0] == texts[1]


def test_a_stream_that_is_left_early(client):
    with chat(client, ask("Describe the picture.", 0), stream=True, logit_bias=ENDLESS, max_tokens=2000) as stream:
        next(iter(stream))
    assert says(client, ask("What is this?", 1))


# --- tools --------------------------------------------------------------------------------------------------------


def test_a_tools_round_trip(client):
    conversation = [{"role": "user", "content": "What is the weather in Oslo?"}]
    reply = chat(client, conversation, tools=[WEATHER, COUNT], tool_choice="required", temperature=1, seed=1)
    message = reply.choices[0].message
    assert reply.choices[0].finish_reason == "tool_calls" and message.tool_calls
    for call in message.tool_calls:
        assert call.id and call.type == "function"
        arguments = json.loads(call.function.arguments)
        if call.function.name == "get_weather":
            assert arguments["city"] in ("Paris", "Oslo", "Lima") and arguments["unit"] in ("celsius", "fahrenheit")
        else:
            assert arguments["shape"] in ("circle", "square", "star") and 0 <= arguments["at_most"] <= 9
    assert len({call.id for call in message.tool_calls}) == len(message.tool_calls)
    conversation.append(message.model_dump(exclude_none=True))
    conversation += [{"role": "tool", "tool_call_id": call.id, "content": "Rain, 4 degrees."} for call in message.tool_calls]
    answer = chat(client, conversation, tools=[WEATHER, COUNT], tool_choice="none", temperature=0)
    assert answer.choices[0].message.content and not answer.choices[0].message.tool_calls


@pytest.mark.parametrize("name", ["get_weather", "count_shapes"])
def test_a_tool_by_name(client, name):
    choice = {"type": "function", "function": {"name": name}}
    for seed in range(5):
        reply = chat(client, ask("Anything.", 0), tools=[WEATHER, COUNT], tool_choice=choice, temperature=1, seed=seed)
        [call] = reply.choices[0].message.tool_calls
        assert call.function.name == name and json.loads(call.function.arguments)


def test_one_call_at_most(client):
    for seed in range(5):
        reply = chat(client, ask("Anything.", 0), tools=[WEATHER, COUNT], tool_choice="required", parallel_tool_calls=False, temperature=1, seed=seed)
        assert len(reply.choices[0].message.tool_calls) == 1


def test_tools_may_be_left_alone(client):
    for choice in ("auto", "none"):
        reply = chat(client, ask("Describe the picture.", 0), tools=[WEATHER], tool_choice=choice, temperature=0)
        message = reply.choices[0].message
        assert message.content or message.tool_calls
        assert choice == "auto" or not message.tool_calls


def test_tool_calls_in_a_stream(client):
    calls: dict[int, dict] = {}
    reason = None
    for chunk in chat(client, ask("Weather?"), tools=[WEATHER], tool_choice="required", stream=True, seed=3):
        for delta in chunk.choices[0].delta.tool_calls or []:
            call = calls.setdefault(delta.index, {"id": None, "name": "", "arguments": ""})
            call["id"] = delta.id or call["id"]
            call["name"] += delta.function.name or ""
            call["arguments"] += delta.function.arguments or ""
        reason = chunk.choices[0].finish_reason or reason
    assert reason == "tool_calls" and sorted(calls) == list(range(len(calls))) and calls
    for call in calls.values():
        assert call["id"] and call["name"] == "get_weather" and json.loads(call["arguments"])["city"]


# --- shapes of replies --------------------------------------------------------------------------------------------


class Colour(enum.StrEnum):
    red = "red"
    green = "green"
    blue = "blue"


class Shape(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    name: Literal["circle", "square", "triangle", "star"]
    colour: Colour
    large: bool


class Scene(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    title: str = pydantic.Field(min_length=1, max_length=12)
    count: int = pydantic.Field(ge=0, le=99)
    shapes: list[Shape] = pydantic.Field(min_length=1, max_length=3)
    background: Literal["light", "dark"] | None


def test_a_schema_is_followed_every_time(client):
    def parse(seed):
        return client.chat.completions.parse(
            model=ALIAS, messages=ask("Describe the picture as JSON.", seed % 4), response_format=Scene, temperature=1, seed=seed, max_completion_tokens=600,
        )

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(parse, range(PARSED)))
    scenes = [reply.choices[0].message.parsed for reply in replies]
    assert [type(scene) for scene in scenes] == [Scene] * PARSED
    assert len({scene.model_dump_json() for scene in scenes}) > PARSED // 4, "replies vary"


def test_a_reply_that_was_cut_off_says_so(client):
    with pytest.raises(openai.LengthFinishReasonError) as caught:
        client.chat.completions.parse(model=ALIAS, messages=ask("As JSON.", 0), response_format=Scene, max_completion_tokens=5)
    assert caught.value.completion.usage.completion_tokens == 5


def test_any_json_object(client):
    for seed in range(5):
        reply = chat(client, ask("Answer in JSON.", 0), response_format={"type": "json_object"}, temperature=1, seed=seed, max_tokens=300)
        [choice] = reply.choices
        assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


# --- log probabilities --------------------------------------------------------------------------------------------


def test_log_probabilities_are_natural_and_those_of_transformers(client):
    for prompt in (longest(), PROMPTS[0], PROMPTS[1]):
        reply = chat(client, messages(prompt), temperature=0, logprobs=True, top_logprobs=5)
        content = reply.choices[0].logprobs.content
        assert [entry.token.strip() for entry in content] == [token.strip() for token in prompt["tokens"]]
        assert abs(sum(entry.logprob for entry in content) - sum(prompt["logprobs"])) < 1e-3
        for entry, expected in zip(content, prompt["logprobs"]):
            assert abs(entry.logprob - expected) < 1e-3
            assert bytes(entry.bytes).decode() == entry.token
            assert len(entry.top_logprobs) == 5 and entry.top_logprobs[0].token == entry.token
            tops = [top.logprob for top in entry.top_logprobs]
            assert tops == sorted(tops, reverse=True) and sum(map(math.exp, tops)) <= 1 + 1e-4


def test_log_probabilities_in_a_stream(client):
    prompt = longest()
    chunks = list(chat(client, messages(prompt), temperature=0, logprobs=True, stream=True))
    content = [entry for chunk in chunks if chunk.choices[0].logprobs for entry in chunk.choices[0].logprobs.content]
    assert abs(sum(entry.logprob for entry in content) - sum(prompt["logprobs"])) < 1e-3
    assert len(content) == len(prompt["tokens"])


# --- seeds --------------------------------------------------------------------------------------------------------


def test_a_seed_repeats_a_reply_also_after_a_restart(client, start):
    # The model is sure of a description, but not of what comes after its end.
    request = {"temperature": 2, "logit_bias": ENDLESS, "max_tokens": 40}

    def replies(client):
        return [says(client, ask("Describe the picture.", 0), seed=seed, **request) for seed in range(8)]

    first = replies(client)
    assert replies(client) == first
    assert len(set(first)) > 1, "seeds matter"
    with connect(start(REGISTRY)) as other:
        assert replies(other) == first


# --- errors -------------------------------------------------------------------------------------------------------


HELLO = [{"role": "user", "content": "Hello"}]


@pytest.mark.parametrize(
    ("request_", "error", "param", "code"),
    [
        ({"model": "no-such-model"}, openai.NotFoundError, "model", "model_not_found"),
        ({"messages": []}, openai.BadRequestError, "messages", None),
        ({"temperature": 2.5}, openai.BadRequestError, "temperature", None),
        ({"top_p": 1.5}, openai.BadRequestError, "top_p", None),
        ({"n": 0}, openai.BadRequestError, "n", None),
        ({"n": 129}, openai.BadRequestError, "n", None),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens", None),
        ({"max_completion_tokens": -1}, openai.BadRequestError, "max_completion_tokens", None),
        ({"logprobs": True, "top_logprobs": 21}, openai.BadRequestError, "top_logprobs", None),
        ({"presence_penalty": 3}, openai.BadRequestError, "presence_penalty", None),
        ({"logit_bias": {"5": 101}}, openai.BadRequestError, "logit_bias", None),
        ({"stop": ["a", "b", "c", "d", "e"]}, openai.BadRequestError, "stop", None),
        ({"tool_choice": "required"}, openai.BadRequestError, "tool_choice", None),
        ({"response_format": {"type": "yaml"}}, openai.BadRequestError, "response_format", None),
        ({"messages": ask("x" * 100_000)}, openai.BadRequestError, "messages", "context_length_exceeded"),
        ({"messages": [{"role": "user", "content": [image_part("data:image/png;base64,AAAA")]}]}, openai.BadRequestError, None, None),
        ({"messages": [{"role": "captain", "content": "x"}]}, openai.BadRequestError, None, None),
    ],
)
def test_errors_are_openai_errors(client, request_, error, param, code):
    with pytest.raises(error) as caught:
        client.chat.completions.create(**{"model": ALIAS, "messages": HELLO, **request_})
    found = caught.value
    assert found.type and found.body["message"] and found.request_id
    assert set(found.body) == {"message", "type", "param", "code"}
    if param is None:
        assert found.param is None or found.param.startswith("messages")
    else:
        assert found.param == param or found.param.startswith(f"{param}[") or found.param.startswith(f"{param}.")
    if code is not None:
        assert found.code == code


def test_a_model_of_embeddings_does_not_chat(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="shapes-clip", messages=HELLO)
    assert caught.value.param == "model"


def test_a_model_of_chat_does_not_embed(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=ALIAS, input="x")
    assert caught.value.param == "model"


# --- async --------------------------------------------------------------------------------------------------------


def test_async_client(server):
    async def run():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=120) as client:

            async def one(prompt):
                stream = await client.chat.completions.create(model=ALIAS, messages=messages(prompt), temperature=0, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            return await asyncio.gather(*(one(prompt) for prompt in PROMPTS[:16]))

    said = asyncio.run(run())
    assert [text.strip() for text in said] == [prompt["text"].strip() for prompt in PROMPTS[:16]]
