"""Metadata filters: an exact test of one checkpoint's metadata, and the conditions on the tag index that follow from it.

A filter is a dict of metadata keys. Every entry has to match:

- a scalar must equal the value; `True` is not `1`, `3` equals `3.0`, and `None` matches only an explicit null; members of enumerations
  that are texts or numbers count as their values;
- a dict must be contained in the dict, and every entry of a list must be contained in the list;
- a dict of operators (`$eq $ne $in $gt $gte $lt $lte $exists`) must satisfy all of them.

A dot in a key is a dot. Only where no checkpoint has such a key, `user.name` is the key `name` of the dict `user`, as for SqliteSaver.

The conditions on the tag index are necessary: a checkpoint that fails one can't match. If they are also sufficient, the filter is
`exact`; otherwise the metadata of the checkpoints that satisfy them decides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckptstore.errors import KeyNotIndexed
from ckptstore.records import Posting
from ckptstore.tags.conditions import GREATEST_TEXT, ValueIn, ValueRange
from ckptstore.tags.encoding import MAX_TEXT_LENGTH, abbreviate, child_path, encode_value, list_path
from ckptstore.tags.filter_input import read_filter
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.tags.matching import ABSENT, is_operators, matches
from ckptstore.tags.metadata_json import shown

# A text followed by this is the next greater text: no tag contains a NUL character.
_NEXT = "\x01"
# The type letter of encoded numbers and texts, and the letter after it.
_NUMBERS, _TEXTS = ("n", "o"), ("s", "t")


@dataclass(frozen=True, slots=True)
class Filter:
    """A parsed filter. A checkpoint matches only if it satisfies all of `required` and `ranges` and has none of `forbidden`."""

    #: The filter's keys and values, plain and checked.
    entries: Sequence[tuple[str, Any]] = ()
    required: tuple[ValueIn, ...] = ()
    ranges: tuple[ValueRange, ...] = ()
    forbidden: tuple[Posting, ...] = ()
    #: Whether the conditions are sufficient, so that metadata need not be compared.
    exact: bool = True
    #: Which keys the index holds, and the key whose empty values it does not hold.
    tag_keys: TagKeys = EVERYTHING
    unindexed_when_empty: str | None = None

    @classmethod
    def parse(cls, wanted: Mapping[str, Any] | None, tag_keys: TagKeys = EVERYTHING, *, unindexed_when_empty: str | None = None) -> Filter:
        """Parse a filter as users write it.

        Args:
            wanted: the filter; None for one that everything matches.
            tag_keys: which keys the index holds.
            unindexed_when_empty: the key whose empty values the index does not hold, see `StateFormat`.

        Raises:
            InvalidFilter: it is not a dict, a key or operator has no meaning, or it exceeds a limit; the message names the key.
            KeyNotIndexed: it asks for a key that is not indexed.
        """
        if wanted is None:
            return cls()
        return cls._of(read_filter(wanted), tag_keys, unindexed_when_empty)

    @classmethod
    def _of(cls, entries: Sequence[tuple[str, Any]], tag_keys: TagKeys, unindexed_when_empty: str | None) -> Filter:
        parser = _Parser(tag_keys, unindexed_when_empty)
        for key, value in entries:
            parser.parse(child_path(None, key), value, key)
        conditions = tuple(dict.fromkeys(parser.required)), tuple(dict.fromkeys(parser.ranges)), tuple(dict.fromkeys(parser.forbidden))
        return cls(entries, *conditions, parser.exact, tag_keys, unindexed_when_empty)

    @property
    def matches_nothing(self) -> bool:
        """Whether no checkpoint can match, because a condition allows no value."""
        return any(not condition.values for condition in self.required)

    @property
    def paths(self) -> list[str]:
        """The paths of the index that its conditions need; without long ones, of which the index has only abbreviations."""
        paths = [*[each.key for each in self.required], *[each.key for each in self.ranges]]
        return [path for path in dict.fromkeys(paths) if len(path) < MAX_TEXT_LENGTH]

    @property
    def dotted(self) -> dict[str, str]:
        """Those of its keys that may stand for keys of nested dicts, by their paths in the index."""
        return {child_path(None, key): key for key, value in self.entries if _nested(key, value)[0] != key}

    def nested(self, keys: Collection[str]) -> Filter:
        """The same filter, with these keys read as those of nested dicts."""
        entries = [_nested(*entry) if entry[0] in keys else entry for entry in self.entries]
        return Filter._of(entries, self.tag_keys, self.unindexed_when_empty)

    def matches(self, metadata: Mapping[str, Any]) -> bool:
        """Whether metadata satisfies every entry of the filter."""
        return all(matches(metadata.get(key, ABSENT), value) for key, value in self.entries)


def _nested(key: str, value: Any) -> tuple[str, Any]:
    """An entry with its key at every dot read as one of a nested dict; unchanged if a part of the key would be empty."""
    first, *others = key.split(".")
    if not (first and all(others)):
        return key, value
    for name in reversed(others):
        value = {name: value}
    return first, value


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
            if is_operators(value):
                for name, operand in value.items():
                    self._parse_operator(path, name, operand, key)
                return
            for inner_key, inner in value.items():
                self.parse(child_path(path, inner_key), inner, key)
        elif isinstance(value, list):
            # The index does not record whether two postings below a list belong to the same entry of it.
            self.exact = self.exact and not any(isinstance(inner, (Mapping, list)) for inner in value)
            for inner in value:
                self.parse(list_path(path), inner, key)
        else:
            self._require(path, [value], key)
        if isinstance(value, (Mapping, list)) and not value:
            # The index knows that something is there, but not whether it is a dict or a list.
            self._require_presence(path, key)
            self.exact = False

    def _parse_operator(self, path: str, name: str, operand: Any, key: str) -> None:
        if name == "$eq":
            self.parse(path, operand, key)
        elif name == "$ne":
            self._forbid(path, operand, key)
        elif name == "$in":
            self._require(path, operand, key)
        elif name == "$exists":
            self._parse_exists(path, operand, key)
        else:
            self._require_range(path, name, operand, key)

    def _require(self, path: str, values: list[Any], key: str) -> None:
        self.required.append(ValueIn(self._index_key(path, key), tuple(dict.fromkeys(map(encode_value, values)))))

    def _forbid(self, path: str, operand: Any, key: str) -> None:
        index_key = self._index_key(path, key)
        if isinstance(operand, (Mapping, list)):
            self.exact = False
        else:
            self.forbidden.append(Posting(index_key, encode_value(operand)))

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
        self._index_key(path, key)
        if not self._tag_keys.is_indexed_below(path):
            raise self._not_indexed(path, key)
        if path == self._unindexed_when_empty or len(path) >= MAX_TEXT_LENGTH:
            # The index may not hold its empty values, and of the paths below a long one it holds only abbreviations.
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
            f"filter on {shown(key)}: the saver's tag_keys exclude {shown(path)}, or a part of it, from the index; "
            "change them to include it and run: ckptstore tags rebuild --url URL [--include ...] [--exclude ...]"
        )
