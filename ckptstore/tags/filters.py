"""What a metadata filter means: an exact test of one checkpoint's metadata, and what the tag index can say of it.

A filter is a dict of metadata keys. Every entry has to match:

- a scalar equals the value; `True` is not `1`, `3` equals `3.0`, and `None` is a null that is there;
- a dict is contained in a dict, a list's entries are all contained in a list;
- a dict of operators compares: `$eq $ne $in $gt $gte $lt $lte $exists`, several of them all at once.

The conditions on tags are necessary: nothing matches that lacks one. Where they are sufficient too, the filter is `exact`;
else the metadata of what they find decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckptstore.errors import InvalidFilter, KeyNotIndexed
from ckptstore.records import Posting
from ckptstore.tags.conditions import GREATEST_TEXT, ValueIn, ValueRange
from ckptstore.tags.encoding import LONGEST_TEXT, abbreviate, child_path, encode_value, list_path, storable_text
from ckptstore.tags.keys import EVERYTHING, TagKeys

_OPERATORS = ("$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte", "$exists")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
# Sorts after whatever text it follows, before every longer one: NUL characters are in no tag.
_NEXT = "\x01"
# The first letters of numbers and texts, and those that follow them.
_KIND_OF_NUMBERS, _KIND_OF_TEXTS = ("n", "o"), ("s", "t")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter, read once."""

    wanted: Mapping[str, Any]
    #: Each checkpoint that matches has one posting of each of these.
    required: tuple[ValueIn, ...] = ()
    #: And within each of these spans.
    spans: tuple[ValueRange, ...] = ()
    #: And none of these.
    forbidden: tuple[Posting, ...] = ()
    #: Whether that is all that the filter asks for.
    exact: bool = True

    @classmethod
    def parse(cls, wanted: Mapping[str, Any] | None, tag_keys: TagKeys = EVERYTHING, *, unindexed_when_empty: str | None = None) -> Filter:
        """Read a filter as users write it.

        Args:
            wanted: the filter.
            tag_keys: which keys the index holds.
            unindexed_when_empty: the key whose empty values the index does not hold, see `StateFormat`.

        Raises:
            InvalidFilter: it is not a dict, or a key or operator has no meaning; the message names the key.
            KeyNotIndexed: it asks for a key that is not indexed.
        """
        if wanted is None:
            return cls({})
        if not isinstance(wanted, Mapping):
            raise InvalidFilter(f"a filter is a dict of metadata keys, got {type(wanted).__name__}")
        strange = [key for key in wanted if not isinstance(key, str)]
        if strange:
            raise InvalidFilter(f"metadata keys are text, got the key {strange[0]!r} of type {type(strange[0]).__name__}")
        # As metadata is when it is stored, or the very values that were put would not be found.
        wanted = _plain(wanted)
        reading = _Reading(tag_keys, unindexed_when_empty)
        for key, value in wanted.items():
            reading.read(child_path(None, key), value, key)
        return cls(
            dict(wanted),
            tuple(dict.fromkeys(reading.required)),
            tuple(dict.fromkeys(reading.spans)),
            tuple(dict.fromkeys(reading.forbidden)),
            reading.exact,
        )

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata satisfies every entry of the filter."""
        return all(_matches(metadata.get(key, _ABSENT), value) for key, value in self.wanted.items())


_ABSENT: Any = object()


class _Reading:
    """The conditions of a filter, as far as it was read."""

    def __init__(self, tag_keys: TagKeys, unindexed_when_empty: str | None) -> None:
        self._tag_keys = tag_keys
        self._unindexed_when_empty = unindexed_when_empty
        self.required: list[ValueIn] = []
        self.spans: list[ValueRange] = []
        self.forbidden: list[Posting] = []
        self.exact = True

    def read(self, path: str, value: Any, key: str) -> None:
        """Add what a filter wants of the value at a path."""
        if isinstance(value, Mapping):
            if _is_operators(value, key):
                for name, operand in value.items():
                    self._read_operator(path, name, operand, key)
                return
            for inner_key, inner in value.items():
                self.read(child_path(path, inner_key), inner, key)
        elif isinstance(value, (list, tuple)):
            # Two things within one entry of a list may be found in two entries.
            self.exact = self.exact and not any(isinstance(inner, (Mapping, list, tuple)) for inner in value)
            for inner in value:
                self.read(list_path(path), inner, key)
        else:
            self._require(path, [value], key)
        if isinstance(value, (Mapping, list, tuple)) and not value:
            # That something is there, but not that it is a dict, or a list.
            self._require_presence(path, key)
            self.exact = False

    def _read_operator(self, path: str, name: str, operand: Any, key: str) -> None:
        if name == "$eq":
            self.read(path, operand, key)
        elif name == "$ne":
            self._forbid(path, operand, key)
        elif name == "$in":
            self._require(path, list(operand), key)
        elif name == "$exists":
            self._read_presence(path, operand, key)
        else:
            self._require_range(path, name, operand, key)

    def _require(self, path: str, values: list[Any], key: str) -> None:
        for value in values:
            _check_scalar(value, key)
        self.required.append(ValueIn(self._indexed(path, key), tuple(dict.fromkeys(map(encode_value, values)))))

    def _forbid(self, path: str, operand: Any, key: str) -> None:
        if isinstance(operand, (Mapping, list, tuple)):
            self._indexed(path, key)
            self.exact = False
        else:
            _check_scalar(operand, key)
            self.forbidden.append(Posting(self._indexed(path, key), encode_value(operand)))

    def _require_range(self, path: str, name: str, operand: int | float | str, key: str) -> None:
        at = self._indexed(path, key)
        low, high = _KIND_OF_TEXTS if isinstance(operand, str) else _KIND_OF_NUMBERS
        if isinstance(operand, str) and len(operand) > LONGEST_TEXT:
            # The index has only the beginnings of such texts: those from the same one on, or up to it.
            limit = encode_value(operand[:LONGEST_TEXT])
            low, high = (limit, high) if name in ("$gt", "$gte") else (low, limit + GREATEST_TEXT)
            self.exact = False
        else:
            limit = encode_value(operand) if name in ("$gte", "$lt") else encode_value(operand) + _NEXT
            low, high = (limit, high) if name in ("$gt", "$gte") else (low, limit)
        self.spans.append(ValueRange(at, low, high))

    def _read_presence(self, path: str, operand: bool, key: str) -> None:
        if operand:
            self._require_presence(path, key)
        else:
            # An index knows what is there, not what is not.
            self._indexed(path, key)
            self.exact = False

    def _require_presence(self, path: str, key: str) -> None:
        at = self._indexed(path, key)
        if not self._tag_keys.is_indexed_below(path):
            raise self._not_indexed(path, key)
        if path == self._unindexed_when_empty or at != path:
            # Of these the index does not know all that is there.
            self.exact = False
        else:
            self.spans.append(ValueRange(path, include_nested=True))

    def _indexed(self, path: str, key: str) -> str:
        if not self._tag_keys.is_indexed(path):
            raise self._not_indexed(path, key)
        return abbreviate(path)

    @staticmethod
    def _not_indexed(path: str, key: str) -> KeyNotIndexed:
        return KeyNotIndexed(
            f"filter on {key!r}: what is at {path!r} is kept out of the index, in whole or in part, by the saver's tag_keys; "
            "let them include it and run: ckptstore tags rebuild"
        )


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {storable_text(key) if isinstance(key, str) else key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return {_plain(inner) for inner in value}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _is_operators(value: Mapping[str, Any], key: str) -> bool:
    operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
    if not operators:
        return False
    unknown = [name for name in value if name not in _OPERATORS]
    if unknown:
        raise InvalidFilter(f"filter on {key!r}: unknown operator {unknown[0]!r}; known are {' '.join(_OPERATORS)}")
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
        raise InvalidFilter(
            f"filter on {key!r}: can't compare with a {type(value).__name__}; use text, numbers, bools, None, lists or dicts"
        )
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
