"""The peer: an embeddings endpoint in FastAPI that makes its vector from a hash, with the OpenAI wire types."""

from __future__ import annotations

import hashlib
import struct

from fastapi import FastAPI
from pydantic import BaseModel

WIDTH = 64

app = FastAPI()


class Request(BaseModel):
    model: str
    input: str | list[str]
    encoding_format: str = "float"


class Item(BaseModel):
    object: str = "embedding"
    index: int
    embedding: list[float]


class Usage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Reply(BaseModel):
    object: str = "list"
    data: list[Item]
    model: str
    usage: Usage


@app.get("/livez")
async def livez() -> dict:
    return {"status": "ok"}


@app.post("/v1/embeddings")
async def embeddings(request: Request) -> Reply:
    texts = [request.input] if isinstance(request.input, str) else request.input
    data = [Item(index=index, embedding=vector(text)) for index, text in enumerate(texts)]
    tokens = sum(len(text.split()) for text in texts)
    return Reply(data=data, model=request.model, usage=Usage(prompt_tokens=tokens, total_tokens=tokens))


def vector(text: str) -> list[float]:
    digest = hashlib.shake_128(text.encode()).digest(WIDTH * 4)
    numbers = [value / 2**31 for value in struct.unpack(f"<{WIDTH}i", digest)]
    norm = sum(x * x for x in numbers) ** 0.5
    return [x / norm for x in numbers]
