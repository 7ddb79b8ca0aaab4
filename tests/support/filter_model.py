"""A plain model of metadata filters, and strategies for metadata and filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st


def model(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(compare(found, name, operand) for name, operand in wanted.items())
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(model(found.get(key, ...), inner) for key, inner in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and all(any(model(item, inner) for item in found) for inner in wanted)
    return type(found is True or found is False) is bool and isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def compare(found: Any, name: str, operand: Any) -> bool:
    if name in ("$eq", "$ne"):
        return model(found, operand) == (name == "$eq")
    if name == "$in":
        return any(model(found, item) for item in operand)
    if name == "$exists":
        return bool((found is not ...) == operand)
    if isinstance(found, bool) or not isinstance(found, str if isinstance(operand, str) else (int, float)):
        return False
    return bool({"$gt": found > operand, "$gte": found >= operand, "$lt": found < operand, "$lte": found <= operand}[name])


def without_nested(wanted: dict[str, Any], found: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A filter without keys that mean a nested one: those with a dot that nothing found has."""
    return {key: value for key, value in wanted.items() if "." not in key or any(key in metadata for metadata in found)}


WORDS = st.sampled_from(["a", "b", "a.b", "a/b", "~", "x" * 300, "x" * 299 + "y", "", "'"])


NUMBERS = st.sampled_from([0, 1, -1, 1.0, 1.5, 2**53, 2**53 + 1, -(2**63), 10**40, 1e300, -0.0, 0.1])


SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)


JSON = st.recursive(SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)), max_leaves=6)


METADATA = st.dictionaries(WORDS, JSON, max_size=4)


ORDERABLE = st.one_of(NUMBERS, WORDS)


OPERATORS = st.one_of(
    st.builds(lambda v: {"$eq": v}, JSON),
    st.builds(lambda v: {"$ne": v}, SCALARS),
    st.builds(lambda v: {"$in": v}, st.lists(SCALARS, max_size=3)),
    st.builds(lambda v: {"$exists": v}, st.booleans()),
    st.builds(lambda n, v: {n: v}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ORDERABLE),
    st.builds(lambda a, b: {"$gte": a, "$lt": b}, NUMBERS, NUMBERS),
)


FILTERS = st.dictionaries(WORDS, st.one_of(JSON, OPERATORS), max_size=3)
