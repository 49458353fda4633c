"""LiteLLM, unmodified. It wants another version of openai-python than the other tests, so it has its own folder of packages
(`litellm.txt`) and its own process (`litellm_chat.py`)."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

from shapes_vlm import picture

HERE = pathlib.Path(__file__).parent
PACKAGES = pathlib.Path(sys.prefix) / "litellm"


@pytest.fixture(scope="module")
def said(server) -> dict:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}
    command = [sys.executable, HERE / "litellm_chat.py", f"{server.url}/v1"]
    run = subprocess.run(command, input=picture(0), env=environment, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_a_picture_is_described(said):
    assert said["text"] and said["reason"] == "stop" and said["tokens"] > 0


def test_a_stream_has_the_same_words(said):
    assert said["stream"] == said["text"]


def test_a_schema_is_followed(said):
    assert json.loads(said["json"])["kind"] in ("one", "many")


def test_errors_are_mapped(said):
    assert said["bad_request"] == "BadRequestError" and said["not_found"] == "NotFoundError"
    assert said["too_long"] == "ContextWindowExceededError"


def test_embeddings(said):
    assert said["width"] > 0
