"""openai-node and the Vercel AI SDK, unmodified: runs node/*.test.js against the server."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent / "node"


@pytest.mark.parametrize(("file", "tests"), [("embeddings", 5), ("chat", 6), ("vercel", 4)])
def test_node(server, examples, file, tests):
    venv = pathlib.Path(sys.prefix)
    node = subprocess.check_output([HERE / "which-node.sh", venv], text=True).strip()
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": "any",
        "EXAMPLE_IMAGE": str(examples[0][0]),
        "EXAMPLE_CAPTION": examples[0][1],
        "OTHER_CAPTION": next(text for _, text in examples if text != examples[0][1]),
    }
    run = subprocess.run([f"{node}/node", "--test", f"{file}.test.js"], cwd=HERE, env=environment, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"pass {tests}\n" in run.stdout, run.stdout
