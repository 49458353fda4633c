"""openai-node and the Vercel AI SDK, unmodified: runs node/*.test.js against the server."""

from __future__ import annotations

import base64
import io
import os
import pathlib
import subprocess
import sys

import pytest
from PIL import Image

HERE = pathlib.Path(__file__).parent / "node"


@pytest.mark.parametrize(("file", "tests"), [("embeddings", 5), ("chat", 6), ("vercel", 4)])
def test_node(server, examples, file, tests):
    run_node(server, examples, file, tests)


@pytest.mark.parametrize(("file", "tests"), [("images", 6), ("vercel-images", 2)])
def test_node_makes_images(painter, examples, file, tests):
    run_node(painter, examples, file, tests)


def run_node(server, examples, file, tests):
    """Runs one file of tests in Node, all of which are to pass."""
    venv = pathlib.Path(sys.prefix)
    node = subprocess.check_output([HERE / "which-node.sh", venv], text=True).strip()
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": "any",
        "EXAMPLE_IMAGE": str(examples[0][0]),
        "EXAMPLE_CAPTION": examples[0][1],
        "MASK_IMAGE": base64.b64encode(half_transparent(examples[0][0])).decode(),
        "OTHER_CAPTION": next(text for _, text in examples if text != examples[0][1]),
    }
    run = subprocess.run([f"{node}/node", "--test", f"{file}.test.js"], cwd=HERE, env=environment, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"pass {tests}\n" in run.stdout, run.stdout


def half_transparent(picture: pathlib.Path) -> bytes:
    """A mask of the picture's size that has its right half painted anew."""
    with Image.open(picture) as image:
        width, height = image.size
    mask = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (width // 2, 0, width, height))
    file = io.BytesIO()
    mask.save(file, "PNG")
    return file.getvalue()
