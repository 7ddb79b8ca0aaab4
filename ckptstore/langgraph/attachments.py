"""Finds the attachments in LangChain's content blocks: images, audio and files, which hold base64 text where others hold bytes.

They are stored as what they are, and do not count as text of the state. Long texts that are not in such a block do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import BaseMessage

from ckptstore.values.base64_text import DATA_URI, LEAST_BYTES, may_hold_base64

# A block of one of these types, or with one of these keys, holds an attachment in a key of `_PAYLOAD_KEYS`.
# Source: LangChain's standard content blocks, and those of OpenAI, Anthropic, Google and Bedrock that its packages pass through.
_TYPES = frozenset(
    ("image", "audio", "video", "file", "media", "base64", "document", "input_audio", "input_image", "input_file", "image_url")
)
_KEYS = frozenset(("source_type", "mime_type", "media_type", "format", "filename"))
_PAYLOAD_KEYS = ("data", "base64", "file_data")
# The parts of a message that hold blocks, in the order in which it is serialised.
_PARTS = ("content", "additional_kwargs", "artifact")
_URI_BYTES = 600


class _Payload(bytes):
    """The base64 of one attachment; other bytes are values of their own."""


def attachments_of(value: Any, data: bytes) -> list[bytes]:
    """The large base64 texts of the content blocks of a value that was serialised to this msgpack data, in order."""
    # Walking through a value takes longer than looking for the beginning of a text.
    return list(_payloads(value)) if len(data) >= LEAST_BYTES and may_hold_base64(data) else []


def _payloads(value: Any) -> Iterator[bytes]:
    seen: set[int] = set()
    # A stack: the next part is the last one.
    remaining = [value]
    while remaining:
        part = remaining.pop()
        if isinstance(part, _Payload):
            yield part
        elif isinstance(part, (BaseMessage, Mapping, list, tuple)) and id(part) not in seen:
            seen.add(id(part))
            remaining.extend(reversed(list(_inside(part))))


def _inside(part: Any) -> Iterator[Any]:
    """What a part consists of, its own payloads as bytes."""
    if isinstance(part, BaseMessage):
        yield from (getattr(part, name, None) for name in _PARTS)
    elif isinstance(part, Mapping):
        is_block = part.get("type") in _TYPES if isinstance(part.get("type"), str) else not _KEYS.isdisjoint(part)
        for key, each in part.items():
            if isinstance(each, str):
                yield _payload(each, is_alone=is_block and key in _PAYLOAD_KEYS)
            else:
                yield each
    else:
        yield from part


def _payload(text: str, *, is_alone: bool) -> _Payload | None:
    """The base64 of a `data:` URI, or a text that is nothing else."""
    if len(text) < LEAST_BYTES or not text.isascii():
        return None
    if text.startswith("data:"):
        uri = DATA_URI.match(text[:_URI_BYTES].encode())
        return _Payload(text[uri.end() :].encode()) if uri else None
    return _Payload(text.encode()) if is_alone else None
