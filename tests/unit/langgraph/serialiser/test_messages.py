"""The classes whose objects are reused are ones that LangGraph builds under any allowlist, and plain values are JSON's."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES

from ckptstore.langgraph.serialiser.messages import CLASS_NUMBERS, CLASSES_BY_NAME, NAME_PREFIX, is_plain


class Level(IntEnum):
    HIGH = 1


class Name(str):
    """A text that may serialise to something else."""


def test_every_class_is_one_that_langgraph_always_builds() -> None:
    assert {(cls.__module__, cls.__name__) for cls in CLASS_NUMBERS} <= SAFE_MSGPACK_TYPES
    assert all(issubclass(cls, (BaseMessage, Document)) for cls in CLASS_NUMBERS)


def test_every_class_has_a_number_and_a_name_of_its_own() -> None:
    assert sorted(CLASS_NUMBERS.values()) == list(range(len(CLASS_NUMBERS)))
    assert set(CLASSES_BY_NAME.values()) == set(CLASS_NUMBERS)
    assert all(module.encode().startswith(NAME_PREFIX) for module, _ in CLASSES_BY_NAME)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [], {}, (), [1, ("a", {"b": [None]})], {"a": {"b": ()}}])
def test_plain_values(value: Any) -> None:
    assert is_plain(value)


@pytest.mark.parametrize("inner", [b"bytes", bytearray(), {1}, frozenset(), Level.HIGH, Name("n"), 1j, object()])
@pytest.mark.parametrize("wrap", [lambda inner: inner, lambda inner: [inner], lambda inner: {"k": (inner,)}])
def test_values_that_are_not_plain_at_any_depth(inner: Any, wrap: Any) -> None:
    assert not is_plain(wrap(inner))


def test_a_key_that_is_not_plain() -> None:
    assert not is_plain({Name("n"): 1})
    assert is_plain({1: "a number is", (1, "and a tuple"): 2})
