"""LangChain's ChatOpenAI, unmodified."""

from __future__ import annotations

import pydantic
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from shapes_vlm import ALIAS, ask, image_part, messages, longest, picture, text_part


@pytest.fixture
def model(server):
    return ChatOpenAI(model=ALIAS, base_url=f"{server.url}/v1", api_key="any", max_retries=0, temperature=0, timeout=120)


def test_a_picture_is_described(model):
    prompt = longest()
    reply = model.invoke(messages(prompt))
    assert reply.content.strip() == prompt["text"].strip()
    assert reply.usage_metadata["input_tokens"] == prompt["prompt_tokens"]
    assert reply.response_metadata["finish_reason"] == "stop"


def test_pieces_of_a_stream(model):
    message = HumanMessage([image_part(picture(0)), text_part("Describe the picture.")])
    whole = model.invoke([SystemMessage("Be brief."), message]).content
    assert "".join(piece.content for piece in model.stream([SystemMessage("Be brief."), message])) == whole


def test_a_reply_is_structured(model):
    class Scene(pydantic.BaseModel):
        count: int = pydantic.Field(ge=0, le=9)
        light: bool

    scene = model.with_structured_output(Scene, method="json_schema").invoke(ask("As JSON.", 0))
    assert isinstance(scene, Scene)


def test_a_tool_is_called(model):
    @tool
    def paint(red: bool) -> str:
        """Paints it."""
        return str(red)

    reply = model.bind_tools([paint], tool_choice="any").invoke(ask("Paint it red.", 0))
    assert reply.tool_calls and all(isinstance(call["args"]["red"], bool) for call in reply.tool_calls)
