"""curl, as the README shows it."""

from __future__ import annotations

import base64
import json
import subprocess


def curl(*arguments: str, stdin: str | None = None) -> tuple[int, dict]:
    command = ["curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *arguments]
    output = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=60).stdout
    body, _, status = output.rpartition("\n")
    return int(status), json.loads(body)


def test_embed_text(server):
    body = json.dumps({"model": "shapes-clip", "input": "a red circle"})
    status, reply = curl(f"{server.url}/v1/embeddings", "--header", "content-type: application/json", "--data", body)
    assert status == 200
    assert reply["data"][0]["object"] == "embedding"


def test_embed_an_uploaded_picture(server, examples):
    path, _ = examples[0]
    status, reply = curl(f"{server.url}/v1/embeddings", "--form", "model=shapes-clip", "--form", f"image=@{path}")
    assert status == 200
    assert len(reply["data"]) == 1


def test_classify_with_own_labels(server, examples):
    path, _ = examples[0]
    picture = base64.b64encode(path.read_bytes()).decode()
    labels = [caption for _, caption in examples]
    body = json.dumps({"model": "shapes-clip", "input": [{"image": picture}], "labels": labels})
    status, reply = curl(
        f"{server.url}/v1/classify", "--header", "content-type: application/json", "--data", "@-", stdin=body
    )
    assert status == 200, reply
    [result] = reply["data"]
    assert result["prediction"] == examples[0][1]
    scores = [entry["score"] for entry in result["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert abs(sum(scores) - 1) < 1e-3


def test_the_first_request_of_any_tutorial(server, examples):
    for content in (
        "Say this is a test!",
        [
            {"type": "text", "text": "What is in this image?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(examples[0][0].read_bytes()).decode()}"}},
        ],
    ):
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": content}], "max_tokens": 300})
        headers = ["--header", "content-type: application/json", "--header", "authorization: Bearer sk-any"]
        status, reply = curl(f"{server.url}/v1/chat/completions", *headers, "--data", "@-", stdin=body)
        assert status == 200, reply
        assert reply["choices"][0]["message"]["content"]


def test_errors_are_json(server):
    status, reply = curl(f"{server.url}/v1/nowhere")
    assert status == 404
    assert set(reply["error"]) == {"message", "type", "param", "code"}
