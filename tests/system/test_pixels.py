"""From the bytes of a file to the served embedding: what transformers and Pillow make of the same file.

`tests/golden/make_pixels.py` made the files and the expected vectors.
"""

from __future__ import annotations

import base64
import json
import pathlib

import httpx
import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden" / "pixels"
EXPECTED = {name: np.array(vector) for name, vector in json.loads((FOLDER / "expected.json").read_text()).items()}
MEAN = np.mean(list(EXPECTED.values()), axis=0)
MODEL = "shapes-clip"
FLOOR = 0.999
CENTRED_FLOOR = 0.999


def cosine(a, b) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def vector(reply: httpx.Response) -> np.ndarray:
    assert reply.status_code == 200, reply.text
    [made] = reply.json()["data"]
    return np.array(made["embedding"])


def as_data_uri(server, path: pathlib.Path) -> httpx.Response:
    kind = {".jpg": "jpeg", ".png": "png"}[path.suffix]
    uri = f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    body = {"model": MODEL, "input": [{"image": uri}]}
    return httpx.post(f"{server.url}/v1/embeddings", json=body, timeout=60)


def as_upload(server, path: pathlib.Path) -> httpx.Response:
    files = {"image": (path.name, path.read_bytes())}
    return httpx.post(f"{server.url}/v1/embeddings", data={"model": MODEL}, files=files, timeout=60)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("send", [as_data_uri, as_upload])
def test_a_file_gets_the_vector_of_the_reference(server, send, name):
    made, expected = vector(send(server, FOLDER / name)), EXPECTED[name]
    plain, centred = cosine(made, expected), cosine(made - MEAN, expected - MEAN)
    print(f"{name} {send.__name__}: cosine {plain:.6f}, centred {centred:.6f}")
    assert plain >= FLOOR
    assert centred >= CENTRED_FLOOR


def test_the_files_are_told_apart():
    vectors = np.array(list(EXPECTED.values()))
    others = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert others.max() < 0.99, "the comparison would not notice a wrong file"
