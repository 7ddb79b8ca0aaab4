"""The attachments of content blocks, in the forms that providers' packages use."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.attachments import attachments_of
from tests.unit.values.test_base64_text import noise

PAYLOAD = base64.b64encode(noise(70_000)).decode()
URI = f"data:image/png;base64,{PAYLOAD}"

BLOCKS: dict[str, dict[str, Any]] = {
    "LangChain 1": {"type": "image", "base64": PAYLOAD, "mime_type": "image/png"},
    "LangChain 0.3": {"type": "file", "source_type": "base64", "data": PAYLOAD, "mime_type": "application/pdf"},
    "OpenAI image": {"type": "image_url", "image_url": {"url": URI, "detail": "low"}},
    "OpenAI image as text": {"type": "image_url", "image_url": URI},
    "OpenAI input": {"type": "input_image", "image_url": URI},
    "OpenAI audio": {"type": "input_audio", "input_audio": {"data": PAYLOAD, "format": "wav"}},
    "OpenAI file": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PAYLOAD}"}},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PAYLOAD}},
    "Anthropic result": {"type": "tool_result", "content": [{"type": "document", "source": {"type": "base64", "data": PAYLOAD}}]},
    "Google": {"type": "media", "mime_type": "video/mp4", "data": PAYLOAD},
}


def found_in(value: Any) -> list[bytes]:
    return attachments_of(value, JsonPlusSerializer().dumps_typed(value)[1])


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_every_form_in_every_message(block: dict[str, Any]) -> None:
    expected = [PAYLOAD.encode()]
    assert found_in(HumanMessage([{"type": "text", "text": "look"}, block])) == expected
    assert found_in([AIMessage("a"), ToolMessage([block], tool_call_id="1")]) == expected
    assert found_in({"messages": [HumanMessage([block])]}) == expected
    assert found_in([block]) == expected


def test_an_artifact_of_a_tool() -> None:
    assert found_in(ToolMessage("done", tool_call_id="1", artifact={"type": "image", "data": PAYLOAD})) == [PAYLOAD.encode()]


@pytest.mark.parametrize(
    "value",
    [
        PAYLOAD,
        [PAYLOAD],
        {"data": PAYLOAD},
        {"type": "report", "data": PAYLOAD},
        {"type": "text", "text": PAYLOAD},
        HumanMessage(PAYLOAD),
        HumanMessage([{"type": "image", "url": "https://example.com/" + "a" * 80_000}]),
        {"type": "image", "data": "ü" * 80_000},
        {"type": ["image"], "data": PAYLOAD},
    ],
    ids=["text", "list", "no block", "another type", "text block", "message", "url", "not ASCII", "a type that is no text"],
)
def test_a_long_text_is_no_attachment(value: Any) -> None:
    assert found_in(value) == []


def test_a_value_that_contains_itself() -> None:
    block: dict[str, Any] = {"type": "image", "data": PAYLOAD}
    looped: list[Any] = [block]
    looped.append(looped)
    assert attachments_of(looped, JsonPlusSerializer().dumps_typed([block])[1]) == [PAYLOAD.encode()]
