"""How a part of a value is named in a URL: by the numbers of its elements, from the outside to the inside, as `0.3.1`.

Keys would not do: they may be of any type, and as long as somebody likes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.structure.messages import FILE_KEYS, MEDIA_TYPE_KEYS
from ckptstore.langgraph.structure.nodes import Pairs, Structure, Typed

Path = tuple[int, ...]

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*;base64,", re.ASCII)


def shown(path: Path) -> str:
    """A path as a URL has it."""
    return ".".join(map(str, path))


def parse(text: str) -> Path:
    """The path that a URL has.

    Raises:
        InvalidConfig: it is none.
    """
    if not re.fullmatch(r"(\d{1,9}(\.\d{1,9})*)?", text, re.ASCII):
        raise InvalidConfig("the path in this address can't be read; go back, and follow the link again")
    return tuple(map(int, text.split("."))) if text else ()


def elements_of(structure: Structure) -> Sequence[Structure]:
    """The elements of a structure, in order; none for a scalar."""
    match structure:
        case list() | tuple():
            return structure
        case dict():
            return list(structure.values())
        case Pairs(pairs):
            return [value for _, value in pairs]
        case Typed():
            return elements_of(structure.content) or [structure.content]
    return []


def part_at(structure: Structure, path: Path) -> Structure:
    """The part of a structure at a path.

    Raises:
        InvalidConfig: it has no such part.
    """
    for number in path:
        elements = elements_of(structure)
        if number >= len(elements):
            raise InvalidConfig("there is no such part of this value (any more)")
        structure = elements[number]
    return structure


def numbers_of(structure: Structure, keys: Sequence[str | int]) -> Path | None:
    """The path of the part that keys, names of fields and indexes lead to; None if they lead nowhere."""
    numbers: list[int] = []
    for key in keys:
        within = structure.content if isinstance(structure, Typed) else structure
        names = list(within) if isinstance(within, dict) else list(range(len(within))) if isinstance(within, list) else []
        if key not in names:
            return None
        numbers.append(names.index(key))
        structure = elements_of(within)[numbers[-1]]
    return tuple(numbers)


def embedded_in(text: str) -> bytes | None:
    """The bytes of a `data:` URL in base64; None for another text."""
    found = _DATA_URL.match(text)
    return None if found is None else _decoded(text[found.end() :])


def embedded_part(structure: Structure) -> tuple[int, bytes] | None:
    """Which element of a dict is a file in base64 whose media type stands beside it, and its bytes; None if there is none."""
    if not isinstance(structure, dict) or not any(isinstance(structure.get(key), str) for key in MEDIA_TYPE_KEYS):
        return None
    for number, (key, value) in enumerate(structure.items()):
        if key in FILE_KEYS and isinstance(value, str) and (decoded := _decoded(value)):
            return number, decoded
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def bytes_at(structure: Structure, path: Path) -> bytes | None:
    """The bytes at a path: bytes, a text, or what is embedded in one as base64. None for a part that has no bytes of its own."""
    part = part_at(structure, path)
    if isinstance(part, bytes):
        return part
    if not isinstance(part, str):
        return None
    around = embedded_part(part_at(structure, path[:-1])) if path else None
    if around is not None and around[0] == path[-1]:
        return around[1]
    found = embedded_in(part)
    return part.encode(errors="backslashreplace") if found is None else found
