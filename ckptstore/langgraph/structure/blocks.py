"""Structures as lines of text: what fits on a line is on one, and what does not is a block with one element on a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ckptstore.langgraph.structure.as_text import inline, named, on_line, printable, said
from ckptstore.langgraph.structure.columns import ELLIPSIS, cut, wrapped
from ckptstore.langgraph.structure.messages import Message, message_of
from ckptstore.langgraph.structure.nodes import Structure, Typed

_INDENT = "  "
_LEAST_WIDTH = 24


class Limits(NamedTuple):
    """How much of a structure is shown."""

    #: Elements of a list or dict: half of them from its beginning, half from its end.
    elements: int
    #: Characters of a text.
    text: int
    #: Levels within levels.
    depth: int


def block(structure: Structure, width: int, limits: Limits, depth: int = 0) -> Iterator[str]:
    """The lines of a structure. Those of texts are wrapped at the width; no character in them can control a terminal.

    Args:
        structure: the structure.
        width: of a line, in characters.
        limits: what is left out is said in its place.
        depth: how many levels are around it.
    """
    width = max(width, _LEAST_WIDTH)
    line = on_line(structure, width)
    if line is not None or depth >= limits.depth:
        yield line if line is not None else inline(structure, width)
        return
    message = message_of(structure)
    if message is not None:
        yield from _message(message, width, limits)
    elif isinstance(structure, str):
        yield from _wrapped(structure, width, limits)
    elif isinstance(structure, (list, tuple)):
        yield from _elements([("- ", each) for each in structure], width, limits, depth)
    elif isinstance(structure, dict):
        yield from _elements(_named(structure.items()), width, limits, depth)
    elif isinstance(structure, Typed) and structure.fields:
        yield f"{printable(structure.name)}:"
        lines = _elements(_named(structure.fields.items()), width - len(_INDENT), limits, depth)
        yield from (_INDENT + each for each in lines)
    elif isinstance(structure, Typed) and isinstance(structure.content, (list, dict)):
        yield f"{printable(structure.name)}:"
        yield from (_INDENT + each for each in block(structure.content, width - len(_INDENT), limits, depth + 1))
    else:
        yield inline(structure, width)


def _named(items: Iterable[tuple[Structure, Structure]]) -> list[tuple[str, Structure]]:
    return [(f"{named(key) if isinstance(key, str) else inline(key, _LEAST_WIDTH)}: ", value) for key, value in items]


def _elements(elements: Sequence[tuple[str, Structure]], width: int, limits: Limits, depth: int) -> Iterator[str]:
    half = limits.elements // 2
    left_out = len(elements) - 2 * half
    shown = elements if left_out <= 1 else [*elements[:half], *elements[-half:]]
    for number, (lead, element) in enumerate(shown):
        if left_out > 1 and number == half:
            yield f"{ELLIPSIS} {left_out} more"
        line = on_line(element, max(width - len(lead), _LEAST_WIDTH))
        if line is not None:
            yield lead + line
            continue
        first, *more = block(element, width - len(_INDENT), limits, depth + 1)
        if lead == "- ":
            yield lead + first
        else:
            yield lead.rstrip()
            yield _INDENT + first
        yield from (_INDENT + line for line in more)


def _message(message: Message, width: int, limits: Limits) -> Iterator[str]:
    yield from wrapped(cut(f"{printable(message.role)}: {said(message, limits.text)}", limits.text), width, _INDENT)


def _wrapped(text: str, width: int, limits: Limits) -> Iterator[str]:
    for part in text[: limits.text].splitlines():
        yield from wrapped(printable(part), width)
    if len(text) > limits.text:
        yield f"{ELLIPSIS} {len(text) - limits.text} more characters"
