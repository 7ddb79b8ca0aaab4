"""Hides the values of keys that match a pattern, wherever a structure has them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import translate
from typing import Any

from ckptstore.langgraph.structure.as_json import as_json
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed

#: Stands for what is hidden.
REDACTED = NotShown("redacted")
# As deep as structures are shown anywhere.
_MAX_DEPTH = 150
_TOO_DEEP = NotShown(f"nested deeper than {_MAX_DEPTH} levels")

Path = tuple[str, ...]


class Redaction:
    """Which keys are hidden.

    Args:
        patterns: with `*`, `?` and `[...]` as in names of files, in capital or small letters. Each is compared with a key, and with the
            keys from the channel or the metadata down to it: `*token*`, `user/email`. Entries of lists have no key of their own.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self.patterns = tuple(patterns)
        self._matcher = re.compile("|".join(map(translate, patterns)), re.IGNORECASE) if patterns else None

    def hides(self, path: Path) -> bool:
        """Whether the value under these keys is hidden, by its own key or by one above it."""
        return any(self._hides_at(path[:depth]) for depth in range(1, len(path) + 1))

    def _hides_at(self, path: Path) -> bool:
        return self._matcher is not None and bool(self._matcher.match(path[-1]) or self._matcher.match("/".join(path)))

    def of(self, structure: Structure, path: Path = ()) -> Structure:
        """A structure without what is hidden. Texts that are JSON are looked into, too: arguments of tools are stored so.

        Args:
            structure: the structure.
            path: the keys that lead to it, such as the channel's name.
        """
        if self._matcher is None:
            return structure
        return REDACTED if self.hides(path) else self._within(structure, path)

    def _within(self, structure: Structure, path: Path, depth: int = 0) -> Structure:
        if depth > _MAX_DEPTH:
            return _TOO_DEEP
        match structure:
            case str():
                return self.text(structure, path)
            case dict():
                return {key: self._under(key, value, path, depth + 1) for key, value in structure.items()}
            case list() | tuple():
                return [self._within(each, path, depth + 1) for each in structure]
            case Pairs(pairs):
                return Pairs(tuple((self._within(key, path, depth + 1), self._under(key, value, path, depth + 1)) for key, value in pairs))
            case Typed():
                return Typed(structure.type, self._within(structure.content, path, depth + 1), structure.form)
        return structure

    def _under(self, key: Structure, value: Structure, path: Path, depth: int) -> Structure:
        at = (*path, key if isinstance(key, str) else str(key))
        return REDACTED if self._hides_at(at) else self._within(value, at, depth)

    def text(self, text: str, path: Path = ()) -> str:
        """A text; one that is a JSON document, without what is hidden in it."""
        if self._matcher is None or text.lstrip()[:1] not in ("{", "["):
            return text
        try:
            parsed: Any = json.loads(text)
            shown = self._within(parsed, path)
            return text if shown == parsed else json.dumps(as_json(shown), ensure_ascii=False)
        except (ValueError, RecursionError):
            return text


#: Hides nothing.
NO_REDACTION = Redaction()
