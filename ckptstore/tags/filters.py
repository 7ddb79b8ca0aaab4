"""Metadata filters: an exact test of one checkpoint's metadata, and the conditions on the tag index that follow from it.

A filter is a dict of metadata keys. Every entry has to match:

- a scalar must equal the value; `True` is not `1`, `3` equals `3.0`, and `None` matches only an explicit null;
- a dict must be contained in the dict, and every entry of a list must be contained in the list;
- a dict of operators (`$eq $ne $in $gt $gte $lt $lte $exists`) must satisfy all of them.

The conditions on the tag index are necessary: a checkpoint that fails one can't match. If they are also sufficient, the filter is
`exact`; otherwise the metadata of the checkpoints that satisfy them decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckptstore.errors import InvalidFilter, KeyNotIndexed
from ckptstore.records import Posting
from ckptstore.tags.conditions import GREATEST_TEXT, ValueIn, ValueRange
from ckptstore.tags.encoding import MAX_TEXT_LENGTH, abbreviate, child_path, encode_value, list_path
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.tags.metadata_json import storable_text

_OPERATORS = ("$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte", "$exists")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
# A text followed by this is the next greater text: no tag contains a NUL character.
_NEXT = "\x01"
# The type letter of encoded numbers and texts, and the letter after it.
_NUMBERS, _TEXTS = ("n", "o"), ("s", "t")


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. A checkpoint matches only if it satisfies all of `required` and `ranges` and has none of `forbidden`."""

    #: The filter as given, with text as it is stored.
    entries: Mapping[str, Any]
    required: tuple[ValueIn, ...] = ()
    ranges: tuple[ValueRange, ...] = ()
    forbidden: tuple[Posting, ...] = ()
    #: Whether the conditions are sufficient, so that metadata need not be compared.
    exact: bool = True

    @classmethod
    def parse(cls, wanted: Mapping[str, Any] | None, tag_keys: TagKeys = EVERYTHING, *, unindexed_when_empty: str | None = None) -> Filter:
        """Parse a filter as users write it.

        Args:
            wanted: the filter; None for one that everything matches.
            tag_keys: which keys the index holds.
            unindexed_when_empty: the key whose empty values the index does not hold, see `StateFormat`.

        Raises:
            InvalidFilter: it is not a dict, or a key or operator has no meaning; the message names the key.
            KeyNotIndexed: it asks for a key that is not indexed.
        """
        if wanted is None:
            return cls({})
        if not isinstance(wanted, Mapping):
            raise InvalidFilter(f"a filter must be a dict of metadata keys, got {type(wanted).__name__}")
        invalid = [key for key in wanted if not isinstance(key, str)]
        if invalid:
            raise InvalidFilter(f"metadata keys must be text, got the key {invalid[0]!r} of type {type(invalid[0]).__name__}")
        # Cleaned as metadata is when it is stored; otherwise the values that were put would not be found.
        entries = _storable(wanted)
        parser = _Parser(tag_keys, unindexed_when_empty)
        for key, value in entries.items():
            parser.parse(child_path(None, key), value, key)
        return cls(
            entries,
            tuple(dict.fromkeys(parser.required)),
            tuple(dict.fromkeys(parser.ranges)),
            tuple(dict.fromkeys(parser.forbidden)),
            parser.exact,
        )

    @property
    def matches_nothing(self) -> bool:
        """Whether no checkpoint can match, because a condition allows no value."""
        return any(not condition.values for condition in self.required)

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata satisfies every entry of the filter."""
        return all(_matches(metadata.get(key, _ABSENT), value) for key, value in self.entries.items())


_ABSENT: Any = object()


class _Parser:
    """Collects the conditions of a filter, entry by entry."""

    def __init__(self, tag_keys: TagKeys, unindexed_when_empty: str | None) -> None:
        self._tag_keys = tag_keys
        self._unindexed_when_empty = unindexed_when_empty
        self.required: list[ValueIn] = []
        self.ranges: list[ValueRange] = []
        self.forbidden: list[Posting] = []
        self.exact = True

    def parse(self, path: str, value: Any, key: str) -> None:
        """Add the conditions on the value at a path; `key` is the filter's top-level key, for messages."""
        if isinstance(value, Mapping):
            if _is_operators(value, key):
                for name, operand in value.items():
                    self._parse_operator(path, name, operand, key)
                return
            for inner_key, inner in value.items():
                self.parse(child_path(path, inner_key), inner, key)
        elif isinstance(value, (list, tuple)):
            # The index can't tell whether two postings below a list belong to the same entry of it.
            self.exact = self.exact and not any(isinstance(inner, (Mapping, list, tuple)) for inner in value)
            for inner in value:
                self.parse(list_path(path), inner, key)
        else:
            self._require(path, [value], key)
        if isinstance(value, (Mapping, list, tuple)) and not value:
            # The index knows that something is there, but not whether it is a dict or a list.
            self._require_presence(path, key)
            self.exact = False

    def _parse_operator(self, path: str, name: str, operand: Any, key: str) -> None:
        if name == "$eq":
            self.parse(path, operand, key)
        elif name == "$ne":
            self._forbid(path, operand, key)
        elif name == "$in":
            self._require(path, list(operand), key)
        elif name == "$exists":
            self._parse_exists(path, operand, key)
        else:
            self._require_range(path, name, operand, key)

    def _require(self, path: str, values: list[Any], key: str) -> None:
        for value in values:
            _check_scalar(value, key)
        self.required.append(ValueIn(self._index_key(path, key), tuple(dict.fromkeys(map(encode_value, values)))))

    def _forbid(self, path: str, operand: Any, key: str) -> None:
        if isinstance(operand, (Mapping, list, tuple)):
            self._index_key(path, key)
            self.exact = False
        else:
            _check_scalar(operand, key)
            self.forbidden.append(Posting(self._index_key(path, key), encode_value(operand)))

    def _require_range(self, path: str, name: str, operand: int | float | str, key: str) -> None:
        index_key = self._index_key(path, key)
        low, high = _TEXTS if isinstance(operand, str) else _NUMBERS
        if isinstance(operand, str) and len(operand) > MAX_TEXT_LENGTH:
            # The index holds only the beginning of a text of this length: the range includes all texts with the same beginning.
            limit = encode_value(operand[:MAX_TEXT_LENGTH])
            low, high = (limit, high) if name in ("$gt", "$gte") else (low, limit + GREATEST_TEXT)
            self.exact = False
        else:
            limit = encode_value(operand) if name in ("$gte", "$lt") else encode_value(operand) + _NEXT
            low, high = (limit, high) if name in ("$gt", "$gte") else (low, limit)
        self.ranges.append(ValueRange(index_key, low, high))

    def _parse_exists(self, path: str, operand: bool, key: str) -> None:
        if operand:
            self._require_presence(path, key)
        else:
            # The index can't find checkpoints that lack a key.
            self._index_key(path, key)
            self.exact = False

    def _require_presence(self, path: str, key: str) -> None:
        index_key = self._index_key(path, key)
        if not self._tag_keys.is_indexed_below(path):
            raise self._not_indexed(path, key)
        if path == self._unindexed_when_empty or index_key != path:
            # The index may not hold its empty values, and of a long path it holds only an abbreviation.
            self.exact = False
        else:
            self.ranges.append(ValueRange(path, include_nested=True))

    def _index_key(self, path: str, key: str) -> str:
        if not self._tag_keys.is_indexed(path):
            raise self._not_indexed(path, key)
        return abbreviate(path)

    @staticmethod
    def _not_indexed(path: str, key: str) -> KeyNotIndexed:
        return KeyNotIndexed(
            f"filter on {key!r}: the saver's tag_keys exclude {path!r}, or a part of it, from the index; "
            "change them to include it and run: ckptstore tags rebuild --url URL [--include ...] [--exclude ...]"
        )


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {storable_text(key) if isinstance(key, str) else key: _storable(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return {_storable(inner) for inner in value}
    return [_storable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _is_operators(value: Mapping[str, Any], key: str) -> bool:
    operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not operators:
        return False
    unknown = [name for name in value if name not in _OPERATORS]
    if unknown:
        raise InvalidFilter(f"filter on {key!r}: unknown operator {unknown[0]!r}; known operators: {' '.join(_OPERATORS)}")
    for name, operand in value.items():
        _check_operand(name, operand, key)
    return True


def _check_operand(name: str, operand: Any, key: str) -> None:
    if name == "$in":
        if not isinstance(operand, (list, set)):
            raise InvalidFilter(f"filter on {key!r}: $in takes a list, got {type(operand).__name__}")
    elif name == "$exists":
        if not isinstance(operand, bool):
            raise InvalidFilter(f"filter on {key!r}: $exists takes True or False, got {type(operand).__name__}")
    elif name in _RANGES:
        if isinstance(operand, bool) or not isinstance(operand, (int, float, str)):
            raise InvalidFilter(f"filter on {key!r}: {name} takes a number or text, got {type(operand).__name__}")
        _check_scalar(operand, key)


def _check_scalar(value: Any, key: str) -> None:
    if value is not None and not isinstance(value, (str, int, float, bool)):
        raise InvalidFilter(f"filter on {key!r}: can't compare with {type(value).__name__}; use text, numbers, bools, None, lists or dicts")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFilter(f"filter on {key!r}: {value!r} is not a number that metadata can hold")


def _matches(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        if any(isinstance(name, str) and name.startswith("$") for name in wanted):
            return all(_TESTS[name](found, operand) for name, operand in wanted.items())
        return isinstance(found, Mapping) and all(_matches(found.get(key, _ABSENT), inner) for key, inner in wanted.items())
    if isinstance(wanted, (list, tuple)):
        return isinstance(found, (list, tuple)) and all(any(_matches(item, inner) for item in found) for inner in wanted)
    return _same(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    if found is _ABSENT or isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    return bool(found == wanted)


def _comparable(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str)
    return isinstance(found, (int, float)) and not isinstance(found, bool)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, wanted: _comparable(found, wanted) and test(found, wanted)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _matches,
    "$ne": lambda found, wanted: not _matches(found, wanted),
    "$in": lambda found, wanted: any(_same(found, item) for item in wanted),
    "$gt": _ordered(lambda found, wanted: found > wanted),
    "$gte": _ordered(lambda found, wanted: found >= wanted),
    "$lt": _ordered(lambda found, wanted: found < wanted),
    "$lte": _ordered(lambda found, wanted: found <= wanted),
    "$exists": lambda found, wanted: (found is not _ABSENT) is wanted,
}
