"""Structures as text for a terminal, in a bounded number of characters and lines.

What comes from a database is never trusted with the terminal: characters that control it, or that turn the direction of writing round,
are shown by their codes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from ckptstore.langgraph.structure.columns import ELLIPSIS, columns_of, cut
from ckptstore.langgraph.structure.messages import Message, message_of
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed

_MAX_DEPTH = 60
_DIGEST_LENGTH = 12
# Controls of both sets, line separators, directions of writing, invisible marks, and surrogates, which can't be printed.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """A text on one line, with the codes of characters that a terminal would obey instead of printing."""
    return _UNPRINTABLE.sub(_code, text)


def named(text: str) -> str:
    """A name on one line; one without characters is in quotes."""
    return printable(text) or '""'


def _code(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def inline(structure: Structure, width: int) -> str:
    """A structure on one line of at most so many columns, with an ellipsis for what does not fit."""
    return cut(_begun(structure, width), width)


def on_line(structure: Structure, width: int) -> str | None:
    """A structure on one line; None if that has more than so many columns."""
    text = _begun(structure, width)
    return text if columns_of(text) <= width else None


def _begun(structure: Structure, width: int) -> str:
    """The text of a structure, or, where that is longer than a line, the beginning of it that is longer too."""
    text = ""
    for part in _parts(structure, width, 0):
        text += part
        if len(text) > width:
            break
    return text


def _parts(structure: Structure, width: int, depth: int) -> Iterator[str]:
    """The text in parts, so that a long one is not made whole."""
    if depth > _MAX_DEPTH:
        yield ELLIPSIS
        return
    match structure:
        case list() | tuple():
            yield from _enclosed("[]", (_parts(each, width, depth + 1) for each in structure))
        case dict():
            yield from _enclosed("{}", (_entry(key, value, width, depth) for key, value in structure.items()))
        case Pairs(pairs):
            yield from _enclosed("{}", (_entry(key, value, width, depth) for key, value in pairs))
        case Typed():
            yield from _object(structure, width, depth)
        case _:
            yield _scalar(structure, width)


def _scalar(structure: Structure, width: int) -> str:
    match structure:
        case str():
            # One more than fits shows that there is more.
            return f'"{printable(structure[: width + 1])}"'
        case bytes():
            return f"<{byte_count(len(structure))}, sha256 {hashlib.sha256(structure).hexdigest()[:_DIGEST_LENGTH]}>"
        case NotShown(reason):
            return f"<not shown: {printable(reason)}>"
    return str(structure)


def _enclosed(brackets: str, parts: Iterable[Iterable[str]]) -> Iterator[str]:
    yield brackets[0]
    for number, each in enumerate(parts):
        if number:
            yield ", "
        yield from each
    yield brackets[1]


def _entry(key: Structure, value: Structure, width: int, depth: int) -> Iterator[str]:
    if isinstance(key, str):
        yield named(key[: width + 1])
    else:
        yield from _parts(key, width, depth + 1)
    yield ": "
    yield from _parts(value, width, depth + 1)


def _object(structure: Typed, width: int, depth: int) -> Iterator[str]:
    message = message_of(structure)
    if message is not None:
        yield f"{printable(message.role)}: {said(message, width)}"
        return
    known = _KNOWN.get(structure.type)
    if known is not None and (text := known(structure.content)) is not None:
        yield printable(text)
        return
    yield printable(structure.name)
    yield "("
    match structure.form, structure.content:
        case "fields", dict() as fields:
            for number, (name, value) in enumerate(fields.items()):
                yield f"{', ' if number else ''}{printable(name)}="
                yield from _parts(value, width, depth + 1)
        case "arguments", list() as arguments:
            for number, value in enumerate(arguments):
                yield ", " if number else ""
                yield from _parts(value, width, depth + 1)
        case _, content:
            yield from _parts(content, width, depth + 1)
    yield ")"


def said(message: Message, width: int) -> str:
    """The content of a message on one line, with the tools that it calls."""
    content = message.content
    if isinstance(content, list):
        content = " ".join(_part_of_content(part, width) for part in content[:width])
    text = printable(content[: width + 1]) if isinstance(content, str) else inline(content, width)
    calls = " ".join(f"-> {_call(call, width)}" for call in message.tool_calls[:width])
    return " ".join(part for part in (text, calls) if part)


def _part_of_content(part: Structure, width: int) -> str:
    """A part of a content that is a list: its text, or its type."""
    if isinstance(part, dict):
        return part["text"] if isinstance(part.get("text"), str) else f"<{part.get('type', 'part')}>"
    return part if isinstance(part, str) else inline(part, width)


def _call(call: Structure, width: int) -> str:
    if not isinstance(call, dict):
        return inline(call, width)
    given = call.get("args")
    if isinstance(given, dict):
        arguments = ", ".join(f"{printable(str(name))}={inline(value, width)}" for name, value in given.items())
    else:
        arguments = inline(given, width)
    return f"{printable(str(call.get('name')))}({arguments})"


def byte_count(size: int) -> str:
    """A number of bytes for people: `912 B`, `3.4 KB`, `12 MB`, where 1 KB has 1,024."""
    amount, unit = float(size), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if amount < 1024 or unit == "TB":
            break
        amount /= 1024
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"


def plural(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- Python's own types, as Python's users write them


def _set(content: Structure) -> str | None:
    return f"{{{inline(content, 10**6)[1:-1]}}}" if isinstance(content, list) else None


def _plain(content: Structure) -> str | None:
    return content if isinstance(content, str) else None


def _uuid(content: Structure) -> str | None:
    return str(UUID(content)) if isinstance(content, str) and re.fullmatch("[0-9a-f]{32}", content) else None


def _path(content: Structure) -> str | None:
    return "/".join(content).replace("//", "/") if isinstance(content, list) and all(isinstance(each, str) for each in content) else None


def _date(content: Structure) -> str | None:
    is_date = isinstance(content, list) and all(isinstance(each, int) for each in content)
    return "-".join(f"{each:02}" for each in content) if is_date else None


def _array(content: Any) -> str | None:
    return f"<array of {content['dtype']}, shape {content['shape']}, {byte_count(len(content['data']))}>" if _is_array(content) else None


def _is_array(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("data"), bytes) and {"dtype", "shape"} <= content.keys()


#: Takes the content of a `Typed`; None where it is not what the type has.
_KNOWN: Final[Mapping[str, Callable[[Structure], str | None]]] = {
    "builtins.set": _set,
    "builtins.frozenset": _set,
    "datetime.datetime": _plain,
    "datetime.date": _date,
    "decimal.Decimal": _plain,
    "uuid.UUID": _uuid,
    "pathlib.PosixPath": _path,
    "pathlib.PurePosixPath": _path,
    # As Python 3.13 names them.
    "pathlib._local.PosixPath": _path,
    "pathlib._local.PurePosixPath": _path,
    "zoneinfo.ZoneInfo": _plain,
    "numpy.ndarray": _array,
}
