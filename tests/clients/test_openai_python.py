"""openai-python, unmodified."""

from __future__ import annotations

import base64
import mimetypes

import numpy as np
import openai
import pytest

MODEL = "text-embedding-3-small"


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        yield client


def data_uri(path) -> str:
    kind = mimetypes.guess_type(path.name)[0]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def vectors(reply) -> np.ndarray:
    assert [item.index for item in reply.data] == list(range(len(reply.data)))
    return np.array([item.embedding for item in reply.data], dtype=np.float32)


def test_models_are_listed(client):
    ids = {model.id for model in client.models.list()}
    assert {"shapes-clip", MODEL} <= ids
    assert client.models.retrieve("shapes-clip").object == "model"


def test_text_is_embedded(client):
    reply = client.embeddings.create(model=MODEL, input=["a red circle", "a blue square", "a red circle"])
    found = vectors(reply)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(found[0], found[2], atol=1e-5)
    assert found[0] @ found[1] < 0.99
    assert reply.usage.prompt_tokens > 0 and reply.usage.total_tokens == reply.usage.prompt_tokens


def test_base64_is_the_default_and_equals_float(client):
    floats = vectors(client.embeddings.create(model=MODEL, input="a green star", encoding_format="float"))
    default = vectors(client.embeddings.create(model=MODEL, input="a green star"))
    np.testing.assert_array_equal(floats, default)


def test_pictures_and_sentences_share_a_space(client, examples):
    pictures = vectors(client.embeddings.create(model=MODEL, input=[data_uri(path) for path, _ in examples]))
    captions = vectors(client.embeddings.create(model=MODEL, input=[caption for _, caption in examples]))
    ranked = (pictures @ captions.T).argmax(axis=1)
    assert (ranked == np.arange(len(examples))).mean() >= 0.85, ranked


def test_text_and_image_in_one_request(client, examples):
    path, caption = examples[0]
    other = next(text for _, text in examples if text != caption)
    items = [{"text": caption}, {"image": data_uri(path)}, {"text": other}]
    found = vectors(client.embeddings.create(model=MODEL, input=items))
    assert found[1] @ found[0] > found[1] @ found[2]


def test_token_ids_are_read_as_cl100k(client):
    # "a red circle" in cl100k_base
    by_ids = vectors(client.embeddings.create(model=MODEL, input=[[64, 2579, 12960]]))
    by_text = vectors(client.embeddings.create(model=MODEL, input="a red circle"))
    np.testing.assert_allclose(by_ids, by_text, atol=1e-5)


@pytest.mark.parametrize(
    ("request_", "error", "param"),
    [
        ({"model": "no-such-model", "input": "x"}, openai.NotFoundError, "model"),
        ({"model": MODEL, "input": []}, openai.BadRequestError, "input"),
        ({"model": MODEL, "input": "x", "dimensions": 100_000}, openai.BadRequestError, "dimensions"),
        ({"model": MODEL, "input": "data:image/png;base64,AAAA"}, openai.BadRequestError, "input"),
    ],
)
def test_errors_are_openai_errors(client, request_, error, param):
    with pytest.raises(error) as caught:
        client.embeddings.create(**request_)
    assert caught.value.param == param
    assert caught.value.type and caught.value.body["message"]
    assert caught.value.request_id


def test_async_client(server):
    import asyncio

    async def embed():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
            calls = (client.embeddings.create(model=MODEL, input=f"a red circle {i}") for i in range(40))
            return await asyncio.gather(*calls)

    assert len(asyncio.run(embed())) == 40
