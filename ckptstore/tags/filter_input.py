"""Reads a filter as users write it: checks it at once and completely, and makes it plain values as metadata has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ckptstore.errors import InvalidFilter
from ckptstore.tags.metadata_json import Cleaner, NotJson, shown, storable_text

#: How many conditions a filter may have: each is a look-up for each candidate.
MAX_CONDITIONS = 64
#: How many values `$in` may have.
MAX_VALUES = 10_000
#: How deep dicts and lists of a filter may be nested.
MAX_NESTING = 32

_EQUALITY = ("$eq", "$ne")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
_OPERATORS = ("$eq", "$ne", "$in", *_RANGES, "$exists")


def read_filter(wanted: Any) -> list[tuple[str, Any]]:
    """The entries of a filter: metadata keys and plain values, which are checked.

    Raises:
        InvalidFilter: it is not a dict, a key or operator has no meaning, or it exceeds a limit; the message names the key.
    """
    if not isinstance(wanted, Mapping):
        raise InvalidFilter(f"a filter must be a dict of metadata keys, got {type(wanted).__name__}")
    entries: list[tuple[str, Any]] = []
    budget = _Budget()
    for key, value in wanted.items():
        if not isinstance(key, str):
            raise InvalidFilter(f"metadata keys must be text, got {shown(key)}")
        if key.startswith("$"):
            raise InvalidFilter(
                f"filter on {shown(key)}: operators stand below a metadata key, as in {{'score': {{'$gte': 1}}}}; "
                "several keys are an AND, for an OR list once for each"
            )
        # Cleaned as metadata is when it is stored; otherwise the values that were put would not be found.
        entries.append((storable_text(key), _Reader(shown(key), budget).read(value, 1)))
    return entries


class _Budget:
    """Counts the conditions of a filter."""

    def __init__(self) -> None:
        self._left = MAX_CONDITIONS

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise InvalidFilter(f"the filter has more than {MAX_CONDITIONS} conditions; use $in for many values of one key")


class _Reader:
    """Reads the value of one key.

    Args:
        key: the filter's top-level key, for messages.
        budget: of the whole filter.
    """

    def __init__(self, key: str, budget: _Budget) -> None:
        self._key = key
        self._budget = budget

    def read(self, value: Any, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise self._invalid(f"it is nested more than {MAX_NESTING} levels deep")
        if isinstance(value, Mapping):
            return self._dict(value, depth)
        if isinstance(value, (list, tuple)):
            if not value:
                self._budget.spend()
            return [self.read(inner, depth + 1) for inner in value]
        self._budget.spend()
        return self._scalar(value)

    def _dict(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        if any(isinstance(name, str) and name.startswith("$") for name in value):
            return {self._operator(name): self._operand(name, operand, depth) for name, operand in value.items()}
        if not value:
            self._budget.spend()
        return {self._json(Cleaner().key, key): self.read(inner, depth + 1) for key, inner in value.items()}

    def _operator(self, name: Any) -> str:
        if name not in _OPERATORS:
            raise self._invalid(f"unknown operator {shown(name)}; known operators: {' '.join(_OPERATORS)}")
        return storable_text(name)

    def _operand(self, name: str, operand: Any, depth: int) -> Any:
        if name in _EQUALITY:
            return self.read(operand, depth + 1)
        self._budget.spend()
        if name == "$exists":
            if not isinstance(operand, bool):
                raise self._invalid(f"$exists takes True or False, got {type(operand).__name__}")
            return operand
        return self._values(operand) if name == "$in" else self._limit(name, operand)

    def _values(self, operand: Any) -> list[Any]:
        if not isinstance(operand, (list, tuple, set, frozenset)):
            raise self._invalid(f"$in takes a list, got {type(operand).__name__}")
        if len(operand) > MAX_VALUES:
            raise self._invalid(f"$in has {len(operand)} values, more than {MAX_VALUES}")
        return [self._scalar(value) for value in operand]

    def _limit(self, name: str, operand: Any) -> Any:
        if isinstance(operand, bool) or not isinstance(operand, (int, float, str)):
            raise self._invalid(f"{name} takes a number or text, got {type(operand).__name__}")
        return self._scalar(operand)

    def _scalar(self, value: Any) -> Any:
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise self._invalid(f"can't compare with {type(value).__name__}; use text, numbers, bools, None, lists or dicts")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._invalid(f"{float(value)!r} is not a number that metadata can hold")
        return self._json(Cleaner().clean, value)

    def _json(self, clean: Callable[[Any], Any], value: Any) -> Any:
        try:
            return clean(value)
        except NotJson as exc:
            raise self._invalid(f"it {exc}") from exc

    def _invalid(self, reason: str) -> InvalidFilter:
        return InvalidFilter(f"filter on {self._key}: {reason}")
