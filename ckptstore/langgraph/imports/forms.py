"""A serialised checkpoint taken apart and put together again without building what is in it: no class of a user's is imported.

LangGraph's serialiser has written checkpoints as msgpack since 2024, and as JSON before. A part of either is serialised like a value
of its own, so that the serialiser that reads the whole reads the part, and makes the same object of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgpack
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import CheckpointCorrupt

#: Writes any object.
PLAIN = JsonPlusSerializer(pickle_fallback=True)

#: A part as its form has it: bytes of msgpack, or what `json.loads` makes of JSON.
Part = Any

_BIN = {0xC4: 2, 0xC5: 3, 0xC6: 5}
_FIXMAP_END, _MAP16_END = 16, 2**16


class Form(Protocol):
    """A format of serialised values."""

    #: The serialiser's type tag.
    type: str

    def split(self, data: bytes) -> dict[str, Part]:
        """The parts of a serialised dict."""
        ...

    def inner(self, part: Part) -> dict[str, Part]:
        """The parts of a part that is a dict."""
        ...

    def value(self, part: Part) -> tuple[str, bytes]:
        """A part as a serialised value: type tag and bytes."""
        ...

    def plain(self, part: Part) -> Any:
        """What a part of texts, numbers, lists and dicts says."""
        ...

    def part(self, plain: Any) -> Part:
        """A part that says this."""
        ...

    def pair(self, one: Part, other: Part) -> Part:
        """A part that is a list of two."""
        ...

    def mapping(self, parts: Mapping[str, Part]) -> Part:
        """A part that is a dict of parts."""
        ...

    def join(self, parts: Mapping[str, Part]) -> bytes:
        """A serialised dict of parts."""
        ...

    def may_be_scalar(self, part: Part) -> bool:
        """Whether a part is a text, a number, a boolean or None; `plain` then reads it."""
        ...


class _Msgpack:
    type = "msgpack"

    def split(self, data: bytes) -> dict[str, Part]:
        parts: dict[str, Part] = {}
        unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), raw=False, strict_map_key=False)
        unpacker.feed(data)
        try:
            for _ in range(unpacker.read_map_header()):
                name = unpacker.unpack()
                start = unpacker.tell()
                unpacker.skip()
                parts[str(name)] = data[start : unpacker.tell()]
        except (msgpack.UnpackException, ValueError) as exc:
            raise CheckpointCorrupt(f"a serialised checkpoint can't be read as msgpack ({type(exc).__name__})") from exc
        return parts

    def inner(self, part: Part) -> dict[str, Part]:
        return self.split(part)

    def value(self, part: Part) -> tuple[str, bytes]:
        head = _BIN.get(part[0])
        # As the serialiser itself has it.
        return ("bytes", part[head:]) if head else (self.type, part)

    def plain(self, part: Part) -> Any:
        return msgpack.unpackb(part, raw=False, strict_map_key=False)

    def part(self, plain: Any) -> Part:
        return msgpack.packb(plain, use_bin_type=True)

    def pair(self, one: Part, other: Part) -> Part:
        return b"\x92" + one + other

    def mapping(self, parts: Mapping[str, Part]) -> Part:
        count = len(parts)
        if count < _FIXMAP_END:
            head = bytes([0x80 | count])
        else:
            head = b"\xde" + struct.pack(">H", count) if count < _MAP16_END else b"\xdf" + struct.pack(">I", count)
        return b"".join([head, *_alternating((self.part(name), part) for name, part in parts.items())])

    def join(self, parts: Mapping[str, Part]) -> bytes:
        joined: bytes = self.mapping(parts)
        return joined

    def may_be_scalar(self, part: Part) -> bool:
        first = part[0]
        # Whole numbers, nil, booleans, floats, and texts of up to 255 bytes.
        return first <= 0x7F or 0xA0 <= first <= 0xC0 or first in (0xC2, 0xC3) or 0xCA <= first <= 0xD3 or first == 0xD9 or first >= 0xE0


class _ObjectParts:
    """What forms share whose parts are Python's objects."""

    def plain(self, part: Part) -> Any:
        """See `Form.plain`."""
        return part

    def part(self, plain: Any) -> Part:
        """See `Form.part`."""
        return plain

    def pair(self, one: Part, other: Part) -> Part:
        """See `Form.pair`."""
        return [one, other]

    def mapping(self, parts: Mapping[str, Part]) -> Part:
        """See `Form.mapping`."""
        return dict(parts)

    def may_be_scalar(self, part: Part) -> bool:
        """See `Form.may_be_scalar`."""
        return part is None or isinstance(part, (str, int, float))


class _Json(_ObjectParts):
    type = "json"

    def split(self, data: bytes) -> dict[str, Part]:
        try:
            parts = json.loads(data)
        except (ValueError, RecursionError) as exc:
            raise CheckpointCorrupt(f"a serialised checkpoint can't be read as JSON ({type(exc).__name__})") from exc
        return self.inner(parts)

    def inner(self, part: Part) -> dict[str, Part]:
        if not isinstance(part, dict):
            raise CheckpointCorrupt(f"a serialised checkpoint has a value of type {type(part).__name__} in place of a dict")
        return part

    def value(self, part: Part) -> tuple[str, bytes]:
        return self.type, json.dumps(part, ensure_ascii=False).encode("utf-8", "surrogatepass")

    def join(self, parts: Mapping[str, Part]) -> bytes:
        return self.value(dict(parts))[1]


class ObjectForm(_ObjectParts):
    """A serialised dict in any other form: its parts are objects.

    Args:
        serde: builds them.
        tag: the type tag of the form.
    """

    # The type of the joined bytes.
    type = "msgpack"

    def __init__(self, serde: SerializerProtocol, tag: str) -> None:
        self._serde = serde
        self._tag = tag

    def split(self, data: bytes) -> dict[str, Part]:
        """See `Form.split`."""
        return self.inner(self._serde.loads_typed((self._tag, data)))

    def inner(self, part: Part) -> dict[str, Part]:
        """See `Form.inner`."""
        return dict(part)

    def value(self, part: Part) -> tuple[str, bytes]:
        """See `Form.value`."""
        return PLAIN.dumps_typed(part)

    def join(self, parts: Mapping[str, Part]) -> bytes:
        """See `Form.join`."""
        type_, data = PLAIN.dumps_typed(dict(parts))
        if type_ != self.type:
            raise CheckpointCorrupt("a checkpoint has objects outside of its channels' values")
        return data


def _alternating(pairs: Iterable[tuple[bytes, bytes]]) -> Iterable[bytes]:
    for pair in pairs:
        yield from pair


#: By the serialiser's type tag.
FORMS: Mapping[str, Form] = {"msgpack": _Msgpack(), "json": _Json()}
