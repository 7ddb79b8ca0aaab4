"""The exact test of one checkpoint's metadata against a filter that was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Stands for the value of a key that metadata does not have.
ABSENT: Any = object()


def is_operators(wanted: Mapping[str, Any]) -> bool:
    """Whether a dict of a filter holds operators. It was checked: then all of its keys are."""
    return any(name.startswith("$") for name in wanted)


def matches(found: Any, wanted: Any) -> bool:
    """Whether a value of metadata (or `ABSENT`) is what a filter wants."""
    if isinstance(wanted, Mapping):
        if is_operators(wanted):
            return all(_TESTS[name](found, operand) for name, operand in wanted.items())
        if isinstance(found, Mapping):
            return all(matches(found.get(key, ABSENT), inner) for key, inner in wanted.items())
        # It has none of the keys, which `$ne` and `$exists: False` may ask for; the index says the same.
        return bool(wanted) and all(matches(ABSENT, inner) for inner in wanted.values())
    if isinstance(wanted, (list, tuple)):
        return isinstance(found, (list, tuple)) and all(any(matches(item, inner) for item in found) for inner in wanted)
    return _same(found, wanted)


def _same(found: Any, wanted: Any) -> bool:
    if found is ABSENT or isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    return bool(found == wanted)


def _comparable(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str)
    return isinstance(found, (int, float)) and not isinstance(found, bool)


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda found, wanted: _comparable(found, wanted) and test(found, wanted)


_TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": matches,
    "$ne": lambda found, wanted: not matches(found, wanted),
    "$in": lambda found, wanted: any(_same(found, item) for item in wanted),
    "$gt": _ordered(lambda found, wanted: found > wanted),
    "$gte": _ordered(lambda found, wanted: found >= wanted),
    "$lt": _ordered(lambda found, wanted: found < wanted),
    "$lte": _ordered(lambda found, wanted: found <= wanted),
    "$exists": lambda found, wanted: (found is not ABSENT) is wanted,
}
