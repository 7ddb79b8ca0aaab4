"""Serialises lists of messages and reuses the bytes of messages that were serialised before.

A message is known by its whole content, which `marshal` writes in a fifth of the time that serialising it takes. So a message that was
changed, at any depth, is another one, and a copy of a message is the same one.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from typing import Any

from langgraph.checkpoint.serde.jsonplus import EXT_DELTA_SNAPSHOT
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from ckptstore.langgraph.serialiser.messages import CLASS_NUMBERS, is_plain
from ckptstore.langgraph.serialiser.msgpack_headers import array_header, extension, map_header
from ckptstore.langgraph.serialiser.prefixes import GROUP, Group, KnownPrefixes
from ckptstore.values.generations import GenerationCache

#: Shorter lists are serialised as fast without this.
MIN_ELEMENTS = 8

# The last format of `marshal` without references, so that equal values give equal bytes, whichever objects they share.
_FORMAT = 2
# The dict's slots, and the headers of two objects of bytes.
_ENTRY_BYTES = 200
_NOT_KNOWN = b""
# A list is known by its first few elements.
_NAMING_ELEMENTS = 3
_LIST_HEADER = 5

#: Serialises a value to msgpack; raises what the serialiser raises.
Pack = Callable[[Any], bytes]


def _size_of(key: bytes, data: bytes) -> int:
    return len(key) + len(data) + _ENTRY_BYTES


class MessageWriter:
    """Remembers the bytes of messages by their content.

    Args:
        max_bytes: of memory.
    """

    def __init__(self, max_bytes: int) -> None:
        self.known: GenerationCache[bytes] = GenerationCache(max_bytes - max_bytes // 3, _size_of)
        self.prefixes = KnownPrefixes(max_bytes // 3)

    def dump(self, value: Any, pack: Pack) -> bytes | None:
        """A list of messages, a dict with such lists, or a `DeltaChannel`'s snapshot of either, as msgpack; None for other values.

        The bytes are those that `pack` gives for the whole value.
        """
        if type(value) is _DeltaSnapshot:
            inner = self._dump(value.value, pack)
            return None if inner is None else extension(EXT_DELTA_SNAPSHOT, inner)
        return self._dump(value, pack)

    def _dump(self, value: Any, pack: Pack) -> bytes | None:
        if _holds_messages(value):
            return self._list(value, pack, 1)
        if type(value) is not dict or not may_hold_messages(value):
            return None
        parts = [map_header(len(value))]
        for key, part in list(value.items()):
            listed = self._list(part, pack, 2) if _holds_messages(part) else None
            # A map of one pair has a header of one byte, and so has None.
            parts += [pack({key: part})[1:]] if listed is None else [pack({key: None})[1:-1], listed]
        return b"".join(parts)

    def _list(self, elements: list[Any], pack: Pack, depth: int) -> bytes | None:
        # A snapshot: another thread may change the list meanwhile.
        elements = list(elements)
        header = array_header(len(elements))
        name, begins = self._known_groups(elements) if len(elements) > GROUP else (_NOT_KNOWN, [])
        elements = elements[len(begins) * GROUP :]
        keys = _keys(elements)
        if keys.count(_NOT_KNOWN) * 2 > len(keys):
            # Nothing would be gained by what is known of so few.
            return None
        parts = self.known.get_all(keys)
        # Only these are known to have no other content with the same key.
        settled = parts.index(None) if None in parts else len(parts)
        for n, part in enumerate(parts):
            if part is None:
                parts[n] = self._pack_new(elements[n], keys[n], pack, depth)
        written = [part for part in parts if part is not None]
        if name != _NOT_KNOWN:
            self.prefixes.add(name, begins, keys[:settled], written[:settled])
        return b"".join([header, *[group.data for group in begins], *written])

    def _known_groups(self, elements: list[Any]) -> tuple[bytes, list[Group]]:
        """The name of a list, and those known groups of elements with which it still begins."""
        first = _keys(elements[:_NAMING_ELEMENTS])
        if _NOT_KNOWN in first:
            return _NOT_KNOWN, []
        name = b"".join(first)
        begins: list[Group] = []
        try:
            for group in self.prefixes.find(name):
                start = len(begins) * GROUP
                if _content(elements[start : start + GROUP]) != group.content:
                    break
                begins.append(group)
        except (KeyError, ValueError, AttributeError):
            # An element is of another class, or holds others than Python's own types.
            pass
        return name, begins

    def _pack_new(self, element: Any, key: bytes, pack: Pack, depth: int) -> bytes:
        # In as many lists as in the value itself, because serialisers limit the depth. Each has a header of one byte.
        data = pack([element] if depth == 1 else [[element]])[depth:]
        # The message may have been changed by another thread since its key was made.
        if key != _NOT_KNOWN and _key(element) == key and _is_exact(key):
            self.known.add(key, data)
        return data


def may_hold_messages(value: list[Any] | dict[Any, Any] | _DeltaSnapshot) -> bool:
    """Whether a list, or a list in a dict, is long enough for `MessageWriter`. One call, because everyone pays for it."""
    if type(value) is _DeltaSnapshot:
        value = value.value
    for part in value.values() if isinstance(value, dict) else (value,):
        if type(part) is list and len(part) >= MIN_ELEMENTS and type(part[0]) in CLASS_NUMBERS:
            return True
    return False


def _holds_messages(value: Any) -> bool:
    return type(value) is list and len(value) >= MIN_ELEMENTS and type(value[0]) in CLASS_NUMBERS and type(value[-1]) in CLASS_NUMBERS


def _content(elements: list[Any]) -> bytes:
    """What `_keys` gives for each element, one after the other. A list begins with a letter and its length, of four bytes."""
    return marshal.dumps([(CLASS_NUMBERS[type(e)], e.__dict__, e.__pydantic_extra__) for e in elements], _FORMAT)[_LIST_HEADER:]


def _keys(elements: list[Any]) -> list[bytes]:
    try:
        # What is serialised of a message is its fields and its extra fields. The other slots (which fields were given, private
        # attributes) never are.
        return [marshal.dumps((CLASS_NUMBERS[type(e)], e.__dict__, e.__pydantic_extra__), _FORMAT) for e in elements]
    except (KeyError, ValueError, AttributeError):
        return list(map(_key, elements))


def _key(element: Any) -> bytes:
    """The whole content of a message; nothing for another object, and for a message that holds others than Python's own types."""
    try:
        return marshal.dumps((CLASS_NUMBERS[type(element)], element.__dict__, element.__pydantic_extra__), _FORMAT)
    except (KeyError, ValueError, AttributeError):
        return _NOT_KNOWN


def _is_exact(key: bytes) -> bool:
    """Whether no other content has this key."""
    try:
        return is_plain(marshal.loads(key))  # noqa: S302  # What this process wrote.
    except RecursionError:
        return False
