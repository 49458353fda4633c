"""What `test_litellm.py` asks through LiteLLM: takes the server's address, and a picture as a data URI on stdin; prints JSON."""

import json
import sys

import litellm

litellm.suppress_debug_info = True
SERVER = {"api_base": sys.argv[1], "api_key": "any", "num_retries": 0}
ONE_OR_MANY = {
    "type": "json_schema",
    "json_schema": {
        "name": "scene", "strict": True,
        "schema": {"type": "object", "properties": {"kind": {"enum": ["one", "many"]}}, "required": ["kind"], "additionalProperties": False},
    },
}


def ask(text, image=None):
    parts = [{"type": "text", "text": text}] + ([{"type": "image_url", "image_url": {"url": image}}] if image else [])
    return [{"role": "user", "content": parts}]


def failure(**request) -> str:
    try:
        litellm.completion(**{"model": "openai/gpt-4o", "messages": ask("Hello"), **SERVER, **request})
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "none"


def main():
    messages = ask("Describe the picture.", sys.stdin.read())
    whole = litellm.completion(model="openai/shapes-vlm", messages=messages, temperature=0, **SERVER)
    pieces = litellm.completion(model="openai/shapes-vlm", messages=messages, temperature=0, stream=True, **SERVER)
    shaped = litellm.completion(model="openai/gpt-4o", messages=messages, response_format=ONE_OR_MANY, **SERVER)
    print(json.dumps({
        "text": whole.choices[0].message.content, "reason": whole.choices[0].finish_reason, "tokens": whole.usage.completion_tokens,
        "stream": "".join(piece.choices[0].delta.content or "" for piece in pieces), "json": shaped.choices[0].message.content,
        "bad_request": failure(temperature=9), "not_found": failure(model="openai/no-such-model"),
        "too_long": failure(messages=ask("x" * 100_000)),
        "width": len(litellm.embedding(model="openai/text-embedding-3-small", input=["x"], encoding_format="float", **SERVER).data[0]["embedding"]),
    }))


if __name__ == "__main__":
    main()
