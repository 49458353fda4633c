"""LangChain's OpenAIEmbeddings, unmodified: it sends arrays of cl100k tokens, not text."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

from cl100k import fill_cache

MODEL = "text-embedding-3-small"


@pytest.fixture
def embeddings(server, tmp_path, monkeypatch):
    fill_cache(tmp_path)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    from langchain_openai import OpenAIEmbeddings

    return OpenAIEmbeddings(model=MODEL, base_url=f"{server.url}/v1", api_key="any", max_retries=0)


def test_tokens_mean_their_text(server, embeddings):
    texts = ["a red circle above a blue square", "A Yellow Star", "naïve café, 日本語 🙂"]
    reply = httpx.post(
        f"{server.url}/v1/embeddings", json={"model": MODEL, "input": texts}
    ).raise_for_status().json()
    expected = np.array([item["embedding"] for item in reply["data"]])
    np.testing.assert_allclose(np.array(embeddings.embed_documents(texts)), expected, atol=1e-4)


def test_query(embeddings):
    assert abs(np.linalg.norm(embeddings.embed_query("a green triangle")) - 1) < 1e-3
