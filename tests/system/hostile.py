"""Hostile chat requests, each made from its number alone."""

from __future__ import annotations

import functools
import random

from PIL import Image

from shapes_vlm import ENDLESS, MODEL, data_uri, image_part, picture, text_part

SPECIALS = (
    "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<row_1_col_1>", "<|image_pad|>", "<|vision_start|>", "<start_of_image>", "<s>", "</s>", "[INST]", "<tool_call>", "</tool_call>",
    "{{ 7*7 }}", "{% for x in range(999999999) %}x{% endfor %}", "{{ messages.__class__ }}", "\u0000", "\ufeff", "\u202e", "\ud7ff", "\U0001f642" * 3,
    "%s%n", "../../etc/passwd", "data:image/png;base64,", "' OR 1=1 --", "\r\n\r\ndata: [DONE]\n\n",
)
SIZES = ((1, 1), (1, 2), (2, 1), (1, 300), (300, 1), (3, 3), (7, 5), (1, 4000), (4000, 1), (1000, 10), (64, 64), (63, 65), (512, 384), (2000, 2000))
BOMBS = (
    "(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1,100000}", "(x{1,1000}){1,1000}", "(?=a)b", "(a)\\1", "[", "(?P<n>", "\\", "^.{0,65535}$",
    "(?:(?:(?:(?:(?:a?){99}){99}){99}){99}){99}",
)
ROLES = ("user", "assistant", "system", "developer", "tool", "function", "", "User", "captain")


@functools.cache
def odd_picture(number: int) -> str:
    size = SIZES[number % len(SIZES)]
    mode = ("RGB", "L", "RGBA", "P", "CMYK", "1", "LA")[number % 7]
    kind = "jpeg" if mode in ("CMYK",) else "png"
    return data_uri(Image.new("RGB", size, (number * 37 % 256, 99, 200)).convert(mode), kind)


def broken_picture(rng: random.Random) -> str:
    whole = picture(rng.randrange(8))
    return rng.choice((
        whole[: rng.randrange(30, len(whole))], whole.replace("A", "%"), "data:image/png;base64,", "data:,", "data:text/html,<b>", "", "x" * 5000,
        "http://127.0.0.1:1/x.png", "http://169.254.169.254/", "file:///etc/passwd", "ftp://example.com/x", "https://[::ffff:127.0.0.1]/",
        "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>", "http://", "javascript:alert(1)", "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    ))


def garbage(rng: random.Random, most: int = 300) -> str:
    """Words, special tokens and characters from all planes."""
    pieces = []
    for _ in range(rng.randrange(12)):
        luck = rng.random()
        if luck < 0.4:
            pieces.append(rng.choice(SPECIALS))
        elif luck < 0.6:
            pieces.append("".join(chr(rng.choice((rng.randrange(32), rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)))) for _ in range(rng.randrange(20))))
        else:
            pieces.append(rng.choice(("What is this?", " red", "a" * rng.randrange(100), " " * 50, "\n" * 9, "describe")))
    return rng.choice(("", " ")).join(pieces)[:most]


def content(rng: random.Random, wild: bool):
    if rng.random() < 0.35:
        return garbage(rng) or ("" if wild else " ")
    parts = []
    for _ in range(rng.choice((0, 1, 2, 3, 6, 20) if wild else (1, 1, 2, 3, 6))):
        luck = rng.random()
        if luck < 0.4:
            parts.append(text_part(garbage(rng)))
        elif luck < 0.65:
            parts.append(image_part(picture(rng.randrange(8), rng.choice((1, 1, 2, 5)))))
        elif luck < 0.85 or not wild:
            parts.append(image_part(odd_picture(rng.randrange(98)), detail=rng.choice(("auto", "low", "high"))))
        elif luck < 0.95:
            parts.append(image_part(broken_picture(rng)))
        else:
            parts.append(rng.choice(({}, {"type": "text"}, {"type": "image_url"}, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, None, 7, "x")))
    return parts


def message(rng: random.Random, wild: bool) -> dict:
    made = {"role": "user", "content": content(rng, wild)}
    if wild and rng.random() < 0.2:
        made["role"] = rng.choice(ROLES)
    if wild and rng.random() < 0.1:
        made["content"] = rng.choice((None, 7, {}, [[]], True))
    if rng.random() < 0.05:
        made["name"] = garbage(rng, 60)
    return made


def conversation(rng: random.Random, wild: bool) -> list[dict]:
    made = [message(rng, wild) for _ in range(rng.choice((0, 1, 2, 3) if wild else (1, 1, 1, 2, 3)))]
    if rng.random() < 0.2:
        made.insert(0, {"role": rng.choice(("system", "developer")), "content": garbage(rng) or "x"})
    return made


def many_messages(rng: random.Random, wild: bool) -> list[dict]:
    """Up to 200, turn by turn, some with calls of tools."""
    made = []
    for number in range(rng.choice((10, 10, 50, 200))):
        if number % 2 == 0:
            made.append({"role": "user", "content": rng.choice(("Hi", "", "Red?") if wild else ("Hi", "Red?")) if rng.random() < 0.9 else garbage(rng, 40) or "?"})
        elif rng.random() < 0.1:
            arguments = rng.choice(("{}", "{", "null", '{"a": 1}') if wild else ("{}", '{"a": 1}', '{"<image>": "</tool_call>"}'))
            call = {"id": f"call_{number}", "type": "function", "function": {"name": "f", "arguments": arguments}}
            made.append({"role": "assistant", "content": None, "tool_calls": [call]})
            made.append({"role": "tool", "tool_call_id": rng.choice((call["id"], "other")) if wild else call["id"], "content": garbage(rng, 40) or "-"})
        else:
            made.append({"role": "assistant", "content": rng.choice(("Red.", "No.", "" if wild else "."))})
    return made


def schema(rng: random.Random, depth: int):
    """Deep, wide, recursive, contradictory, or with patterns that blow up."""
    luck = rng.random()
    if depth <= 0 or luck < 0.3:
        return rng.choice((
            {"type": "string", "pattern": rng.choice(BOMBS)}, {"type": "string", "maxLength": rng.choice((0, 3, 10**6, 10**18))}, {"type": "integer", "minimum": 5, "maximum": 3},
            {"type": "boolean"}, {"enum": []}, {"enum": [garbage(rng, 30), 1, None]}, {"const": {"a": [1, 2]}}, {"$ref": "#"}, {"$ref": "http://127.0.0.1/x"}, {"$ref": "#/$defs/none"},
            {"type": "nothing"}, {}, True, False, {"type": "number", "multipleOf": 1e-9}, {"type": "string", "format": "date-time"}, {"not": {}}, {"minimum": "x"},
        ))
    if luck < 0.6:
        names = [rng.choice(("a", "b", garbage(rng, 10), "x" * 500)) for _ in range(rng.choice((1, 2, 5, 40)))]
        inner = {name: schema(rng, depth - 1) for name in names} if len(names) < 10 else {f"{name}{i}": {"type": "null"} for i, name in enumerate(names)}
        return {"type": "object", "properties": inner, "required": list(inner), "additionalProperties": rng.choice((False, True, {}))}
    if luck < 0.8:
        return {"type": "array", "items": schema(rng, depth - 1), "minItems": rng.choice((0, 1, 100, 10**9)), "maxItems": rng.choice((1, 5, 10**9))}
    return {rng.choice(("anyOf", "oneOf", "allOf")): [schema(rng, depth - 1) for _ in range(rng.choice((1, 2, 8)))]}


def deep(levels: int):
    made = {"type": "null"}
    for _ in range(levels):
        made = {"type": "array", "items": made, "maxItems": 1}
    return made


def response_format(rng: random.Random, wild: bool):
    luck = rng.random()
    if wild and luck < 0.3:
        return rng.choice(({"type": "xml"}, {}, None, "json", {"type": "json_schema"}, {"type": "json_schema", "json_schema": {}}))
    if luck < 0.1:
        return rng.choice(({"type": "json_object"}, {"type": "text"}))
    made = deep(rng.choice((20, 60, 120))) if luck < 0.2 else schema(rng, rng.choice((1, 1, 2, 3, 6)))
    if not wild and luck < 0.6:
        made = {"type": "object", "properties": {"a": made, "b": schema(rng, 1)}, "required": rng.choice(([], ["a"], ["a", "b"])), "additionalProperties": False}
    name = rng.choice(("", garbage(rng, 70))) if wild else "s"
    return {"type": "json_schema", "json_schema": {"name": name, "schema": made, "strict": rng.choice((True, False))}}


def tool(rng: random.Random, number: int, wild: bool) -> dict:
    name = rng.choice(("", "a b", "x" * 100, garbage(rng, 20))) if wild else f"f{number}"
    inner = schema(rng, rng.choice((1, 2, 4)))
    parameters = inner if wild else {"type": "object", "properties": {"a": inner}, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": garbage(rng), "parameters": parameters}}


def tools(rng: random.Random, wild: bool) -> dict:
    made = [tool(rng, number, wild) for number in range(rng.choice((0, 1, 2, 130) if wild else (1, 1, 2, 40)))]
    choices = ("auto", "none", "required", {"type": "function", "function": {"name": "f0"}})
    return {"tools": made, "tool_choice": rng.choice(("all", {}, None, *choices) if wild else choices)}


GOOD = {
    "n": (1, 1, 2, 4, 128), "max_tokens": (1, 2, 16, 100), "temperature": (0, 1, 2, 1e-30), "top_p": (1, 0.0001, 0.5), "top_k": (1, 10**6), "min_p": (0, 1, 0.1),
    "seed": (0, 2**62, 7), "presence_penalty": (2, -2), "frequency_penalty": (2, -2), "repetition_penalty": (0.5, 1, 2), "top_logprobs": (0, 5, 20),
    "stop": (["a"], ["\n"] * 4, " ", ["<image>", "</s>"], [" red", " a", "e"]), "logit_bias": ({}, {"5": 100}, {str(i): 100 for i in range(700)}, ENDLESS, {str(i): -100 for i in range(768)}),
    "parallel_tool_calls": (True, False), "user": ("x" * 100,),
}
BAD = {
    "n": (129, 0, -1, 1e9, "2", 1.5), "max_tokens": (0, -1, 10**9, 2**63, 3.5), "max_completion_tokens": (0, 2**64), "temperature": (2.1, -1, 1e308, "hot"), "top_p": (1.1, -1),
    "top_k": (-1, 0.5), "min_p": (2, -1), "seed": (2**64, 1.5, "x"), "presence_penalty": (3, "x"), "frequency_penalty": (1e30, []), "repetition_penalty": (0, 1000), "logprobs": (3,),
    "top_logprobs": (21, -1), "stop": ([""], ["x"] * 5, "x" * 10_000, 7), "logit_bias": ({"-1": 1}, {"999999": 1}, {"x": 1}, {"5": 101}, []), "stream_options": (3, []), "user": ({},),
    "parallel_tool_calls": ("no",), "stream": ("yes",), "model": ("", "nobody", None, 7, "x" * 5000),
}


def edges(rng: random.Random, wild: bool) -> dict:
    """Numbers at their bounds, or over them."""
    made = {name: rng.choice(GOOD[name]) for name in rng.sample(list(GOOD), rng.randrange(4))}
    if "top_logprobs" in made:
        made["logprobs"] = True
    if made.get("n") == 128:
        made["max_tokens"] = 2
    elif rng.random() < 0.01:
        made |= {"max_tokens": 3000, "n": 1}
    if wild and rng.random() < 0.5:
        name = rng.choice(list(BAD))
        made[name] = rng.choice(BAD[name])
    return made


def request(number: int) -> dict:
    """The request with this number."""
    rng = random.Random(number)
    wild = rng.random() < 0.3
    made = {"model": MODEL, "messages": conversation(rng, wild), "max_tokens": rng.choice((1, 8, 24))}
    kind = rng.random()
    if kind < 0.1:
        made["messages"] = many_messages(rng, wild)
    elif kind < 0.35:
        made["response_format"] = response_format(rng, wild)
    elif kind < 0.5:
        made |= tools(rng, wild)
    elif wild and kind < 0.55:
        made["messages"] = rng.choice((None, {}, "hi", [None], [[]], [{}], [{"role": "user"}], 7))
    made |= edges(rng, wild)
    if made.get("n") in (4, 128):  # each reply reads the prompt anew
        made["messages"] = [{"role": "user", "content": garbage(rng, 30) or "x"}]
    if rng.random() < 0.4:
        made.setdefault("stream", True)
    return made
