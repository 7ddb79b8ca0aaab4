"""Texts in the columns of a terminal, where the characters of East Asian scripts take two."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from unicodedata import combining, east_asian_width

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def columns_of(text: str) -> int:
    """How many columns a text of one line takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def cut(text: str, width: int) -> str:
    """A text in so many columns at most, with an ellipsis for what does not fit."""
    return text if columns_of(text) <= width else _beginning(text, max(width - 1, 0)) + ELLIPSIS


def _beginning(text: str, width: int) -> str:
    taken = 0
    for number, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return text[:number]
    return text


def wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    """The lines of a long text, those after the first one with an indent: broken between words, or anywhere in wide scripts."""
    if columns_of(text) == len(text):
        yield from textwrap.wrap(text, width, subsequent_indent=indent, drop_whitespace=bool(indent)) or [""]
        return
    line = _beginning(text, width)
    yield line
    rest = text[len(line) :]
    while rest:
        line = _beginning(rest, max(width - len(indent), 2))
        yield indent + line
        rest = rest[len(line) :]
