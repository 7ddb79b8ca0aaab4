"""Reads lists of messages and copies messages that were read before, where LangGraph validates each one again.

A message is known by its bytes. What is kept of it is not an object but its parts, which nobody else holds, and from which an equal
object is made for each reader.
"""

from __future__ import annotations

import marshal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgpack
from langgraph.checkpoint.serde.jsonplus import EXT_DELTA_SNAPSHOT, EXT_PYDANTIC_V2, JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from pydantic import BaseModel

from ckptstore.langgraph.serialiser.messages import CLASSES_BY_NAME, NAME_PREFIX, is_plain
from ckptstore.langgraph.serialiser.msgpack_headers import (
    Header,
    extension,
    is_extension,
    read_array_header,
    read_extension,
    read_extensions,
    read_map_header,
)
from ckptstore.langgraph.serialiser.writing import MIN_ELEMENTS
from ckptstore.values.generations import GenerationCache

_ARRAY_OF_ONE = b"\x91"
_ENTRY_BYTES = 200
_CONTAINERS = (dict, list, tuple)
_SCALARS = (str, int, float, bool, bytes, type(None))

#: Reads msgpack; raises what the serialiser raises.
Unpack = Callable[[bytes], Any]

# Builds messages, and nothing that needs an allowlist: what is kept may be given to the reader of any saver.
_STRICT = JsonPlusSerializer(allowed_msgpack_modules=None)


class Parts(NamedTuple):
    """What a message is made from."""

    cls: type[Any]
    #: The fields, with None for those that hold containers.
    fields: dict[str, Any]
    #: The containers, if none of them holds or is another.
    flat: Sequence[tuple[str, dict[Any, Any] | list[Any]]]
    #: Else the names of their fields.
    nested_names: Sequence[str]
    #: And the containers and the extra fields, as `marshal` writes them: so nested ones are copied fastest.
    nested: bytes
    extra: dict[str, Any] | None
    fields_set: set[str]


class _NotReusable:
    """Stands for an element that is read anew each time."""


_NOT_REUSABLE: Final = _NotReusable()


def _size_of(element: bytes, parts: Parts | _NotReusable) -> int:
    size = len(element) + _ENTRY_BYTES
    if isinstance(parts, _NotReusable):
        return size
    containers = [container for _, container in parts.flat]
    held = (parts, parts.fields, parts.flat, parts.nested_names, parts.nested, parts.fields_set, *parts.fields.values(), *containers)
    inside = [item for one in containers for item in (one.values() if isinstance(one, dict) else one)]
    return size + sum(map(sys.getsizeof, (*held, *inside)))


class MessageReader:
    """Remembers messages by their bytes.

    Args:
        max_bytes: of memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self.known: GenerationCache[Parts | _NotReusable] = GenerationCache(max_bytes, _size_of)

    def load(self, data: bytes, unpack: Unpack) -> list[Any] | dict[Any, Any] | _DeltaSnapshot | None:
        """A list of messages, a dict with such lists, or a `DeltaChannel`'s snapshot of either; None for another value.

        The value is the one that `unpack` gives for the whole data.
        """
        snapshot = read_extension(data, EXT_DELTA_SNAPSHOT)
        if snapshot is None:
            return self._load(data, unpack)
        value = self._load(snapshot, unpack)
        return None if value is None else _DeltaSnapshot(value)

    def _load(self, data: bytes, unpack: Unpack) -> list[Any] | dict[Any, Any] | None:
        header = read_array_header(data)
        if header is not None:
            return self._list(data, header, unpack)
        header = read_map_header(data)
        return self._dict(data, header, unpack) if header is not None and NAME_PREFIX in data else None

    def _dict(self, data: bytes, header: Header, unpack: Unpack) -> dict[Any, Any] | None:
        unpacker = msgpack.Unpacker(max_buffer_size=len(data))
        unpacker.feed(data)
        unpacker.read_map_header()
        found: dict[Any, Any] = {}
        for _ in range(header.length):
            start = unpacker.tell()
            unpacker.skip()
            middle = unpacker.tell()
            unpacker.skip()
            end = unpacker.tell()
            part = data[middle:end]
            inner = read_array_header(part)
            listed = self._list(part, inner, unpack) if inner is not None else None
            [key] = unpack(_ARRAY_OF_ONE + data[start:middle])
            [found[key]] = unpack(_ARRAY_OF_ONE + part) if listed is None else [listed]
        return found if unpacker.tell() == len(data) else None

    def _list(self, data: bytes, header: Header, unpack: Unpack) -> list[Any] | None:
        # Most other lists are recognised by their first element.
        if header.length < MIN_ELEMENTS or not is_extension(data, header.end, EXT_PYDANTIC_V2):
            return None
        elements = read_extensions(data, EXT_PYDANTIC_V2)
        if elements is None:
            return None
        known = self.known.get_all(elements)
        for n, element in enumerate(elements):
            if known[n] is None:
                known[n] = new = _parts_of(element)
                self.known.add(element, new)
        if known.count(_NOT_REUSABLE) * 2 > len(known):
            return None
        return [_copy(parts) if isinstance(parts, Parts) else unpack(_array_of(elements[n]))[0] for n, parts in enumerate(known)]


def _array_of(element: bytes) -> bytes:
    """An array of one message, serialised."""
    return _ARRAY_OF_ONE + extension(EXT_PYDANTIC_V2, element)


def _parts_of(element: bytes) -> Parts | _NotReusable:
    """The parts of a message that is read for the first time."""
    named = _class_of(element)
    if named is None:
        return _NOT_REUSABLE
    [message] = _STRICT.loads_typed(("msgpack", _array_of(element)))
    if type(message) is not named or message.__pydantic_private__ is not None:
        return _NOT_REUSABLE
    fields = dict(message.__dict__)
    nested = {name: value for name, value in fields.items() if type(value) in _CONTAINERS}
    rest = (*nested.values(), message.__pydantic_extra__)
    if not is_plain(rest) or any(type(value) not in _SCALARS for name, value in fields.items() if name not in nested):
        return _NOT_REUSABLE
    fields.update(dict.fromkeys(nested))
    fields_set, extra = message.__pydantic_fields_set__, message.__pydantic_extra__
    if not extra and all(map(_is_flat, nested.values())) and len(set(map(id, nested.values()))) == len(nested):
        return Parts(named, fields, tuple(nested.items()), (), b"", extra, fields_set)
    # One call of `marshal` for all of them: containers that share a part still share it.
    return Parts(named, fields, (), tuple(nested), marshal.dumps(rest), None, fields_set)


def _is_flat(container: Any) -> bool:
    if type(container) is dict:
        return all(type(item) in _SCALARS for item in (*container, *container.values()))
    return type(container) is list and all(type(item) in _SCALARS for item in container)


def _class_of(element: bytes) -> type[Any] | None:
    """The class of a serialised message; None for another one's, and where an allowlist decides on something in it."""
    try:
        content = msgpack.unpackb(element, ext_hook=_refuse, strict_map_key=False)
        return CLASSES_BY_NAME.get((content[0], content[1]))
    except Exception:
        # Bytes of any kind: LangGraph's serialiser reads what this reader can't.
        return None


def _refuse(code: int, data: bytes) -> Any:
    raise ValueError("an object within an object")


_new = object.__new__
_set_fields = vars(BaseModel)["__dict__"].__set__
_set_extra = vars(BaseModel)["__pydantic_extra__"].__set__
_set_fields_set = vars(BaseModel)["__pydantic_fields_set__"].__set__
_set_private = vars(BaseModel)["__pydantic_private__"].__set__


def _copy(parts: Parts) -> Any:
    """A message as LangGraph builds it, without validation. Source: `BaseModel.__copy__`."""
    cls, fields, flat, nested_names, nested, extra, fields_set = parts
    own_fields = fields.copy()
    if nested:
        *values, extra = marshal.loads(nested)  # noqa: S302  # What this process wrote.
        own_fields.update(zip(nested_names, values, strict=True))
    else:
        extra = None if extra is None else {}
        for name, container in flat:
            own_fields[name] = container.copy()
    message = _new(cls)
    _set_fields(message, own_fields)
    _set_extra(message, extra)
    _set_fields_set(message, fields_set.copy())
    _set_private(message, None)
    return message
