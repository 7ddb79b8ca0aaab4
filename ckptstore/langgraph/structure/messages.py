"""LangChain's messages among structures: who says what to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ckptstore.langgraph.structure.nodes import Structure, Typed

# The older names are those of checkpoints in JSON.
_MODULES = ("langchain_core.messages.", "langchain.schema.messages.", "langchain_core.messages")
#: What only messages have, of whatever class of a user's.
_FIELDS_OF_MESSAGES = {"content", "type", "additional_kwargs", "response_metadata"}
# Said by other attributes of `Message`, or empty in nearly every message.
_SHOWN_OTHERWISE = frozenset(("content", "type", "id", "name", "role", "tool_calls", "tool_call_id", "invalid_tool_calls"))
_SUFFIXES = ("MessageChunk", "Message")
#: The fields of a message that have the tools that it calls.
CALL_FIELDS = ("tool_calls", "invalid_tool_calls")
#: Under these keys LangChain's parts of contents, and those of its providers, have a file as base64.
FILE_KEYS = ("base64", "data")
#: And under one of these its media type.
MEDIA_TYPE_KEYS = ("mime_type", "media_type")


@dataclass(frozen=True, slots=True)
class Message:
    """A message."""

    #: `human`, `ai`, `system`, `tool`, `function`, `remove`, or the role of a chat message.
    role: str
    #: A text, or a list of parts.
    content: Structure
    id: str | None
    name: str | None
    #: Each with `name`, `args` and `id`.
    tool_calls: Sequence[Structure]
    #: The call that a tool's message answers.
    tool_call_id: str | None
    #: All other fields that have a value.
    more: dict[str, Structure]


def message_of(structure: Structure) -> Message | None:
    """A structure as a message; None if it is none."""
    if not isinstance(structure, Typed) or "content" not in structure.fields:
        return None
    fields = structure.fields
    if not (structure.type.startswith(_MODULES) or fields.keys() >= _FIELDS_OF_MESSAGES):
        return None
    calls = [call for name in CALL_FIELDS for call in _listed(fields.get(name))]
    more = {name: value for name, value in fields.items() if name not in _SHOWN_OTHERWISE and value not in (None, "", {}, [], False)}
    texts = {name: _text(fields.get(name)) for name in ("id", "name", "tool_call_id")}
    return Message(role=_role(structure), content=fields["content"], tool_calls=calls, more=more, **texts)


def messages_of(structure: Structure) -> list[Message] | None:
    """A list of nothing but messages; None for another structure and for an empty list."""
    if not isinstance(structure, list) or not structure:
        return None
    found = [message_of(element) for element in structure]
    messages = [message for message in found if message is not None]
    return messages if len(messages) == len(found) else None


def _role(message: Typed) -> str:
    """The role as LangChain names it; that of a chunk is that of its message."""
    role = _text(message.fields.get("role")) or _text(message.fields.get("type")) or message.name
    for suffix in _SUFFIXES:
        role = role.removesuffix(suffix)
    return role.lower() if message.name.startswith(role) else role


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
