"""The beginnings of long lists are remembered group by group, and only where lists come again."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.langgraph.serialiser import writing
from ckptstore.langgraph.serialiser.prefixes import GROUP, Group, KnownPrefixes
from ckptstore.langgraph.serialiser.reusing import ReusingSerialiser
from ckptstore.langgraph.serialiser.writing import MessageWriter

PLAIN = JsonPlusSerializer()


def groups(*numbers: int) -> list[Group]:
    return [Group(b"c%d" % number * GROUP, b"d%d" % number * GROUP) for number in numbers]


def elements(*numbers: int) -> tuple[list[bytes], list[bytes]]:
    return [b"c%d" % number for number in numbers for _ in range(GROUP)], [b"d%d" % number for number in numbers for _ in range(GROUP)]


def test_a_list_is_remembered_when_it_comes_again_and_grows_by_whole_groups() -> None:
    known = KnownPrefixes(1_000_000)
    known.add(b"name", [], *elements(1))
    assert not known.find(b"name")
    known.add(b"name", [], *elements(1))
    assert known.find(b"name") == (*groups(1),)
    contents, parts = elements(2, 3)
    known.add(b"name", groups(1), contents[:-1], parts[:-1])
    assert known.find(b"name") == (*groups(1, 2),)
    known.add(b"name", groups(1, 2), [b"few"], [b"few"])
    assert known.find(b"name") == (*groups(1, 2),)


def test_memory_is_bounded_in_bytes_and_in_lists() -> None:
    known = KnownPrefixes(500)
    for number in range(1_000):
        for _ in range(2):
            known.add(b"%d" % number, [], *elements(1))
        assert known.size_bytes <= 500
    assert known.find(b"999")
    assert not known.find(b"1")
    assert len(known._known) < 300


@pytest.fixture
def serde(monkeypatch: pytest.MonkeyPatch) -> ReusingSerialiser:
    """One that knows nothing yet."""
    monkeypatch.setattr("ckptstore.langgraph.serialiser.reusing._writer", MessageWriter(10_000_000))
    return ReusingSerialiser(PLAIN)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many elements were compared as groups, for each group."""
    seen: list[int] = []
    content = writing._content

    def noted(some: list[Any]) -> bytes:
        seen.append(len(some))
        return content(some)

    monkeypatch.setattr(writing, "_content", noted)
    return seen


def chat(length: int) -> list[Any]:
    return [HumanMessage(f"message {n}", id=str(n)) for n in range(length)]


def test_a_long_list_is_written_as_langgraph_does_whichever_element_changed(serde: ReusingSerialiser, compared: list[int]) -> None:
    messages = chat(3 * GROUP + 5)
    for _ in range(3):
        assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    compared.clear()
    assert serde.dumps_typed([*messages, *chat(2)]) == PLAIN.dumps_typed([*messages, *chat(2)])
    assert compared == [GROUP] * 3
    for changed in (0, 5, GROUP - 1, GROUP, 2 * GROUP + 1, len(messages) - 1):
        messages[changed].content = "changed"
        assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    messages[GROUP + 3].additional_kwargs["deep"] = {"a": [1, True]}
    assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    messages[7] = "no message"
    assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    assert serde.dumps_typed(messages[: GROUP + 1]) == PLAIN.dumps_typed(messages[: GROUP + 1])


def test_a_chat_that_grows_by_one_message_at_a_time_is_compared_as_groups(serde: ReusingSerialiser, compared: list[int]) -> None:
    for length in range(GROUP, 4 * GROUP):
        assert serde.dumps_typed({"messages": chat(length)}) == PLAIN.dumps_typed({"messages": chat(length)})
    compared.clear()
    serde.dumps_typed({"messages": chat(4 * GROUP)})
    assert compared == [GROUP] * 3


def test_what_has_the_content_of_another_value_is_not_remembered(serde: ReusingSerialiser, compared: list[int]) -> None:
    messages = chat(2 * GROUP)
    # To `marshal` bytes and a bytearray are the same.
    messages[1].additional_kwargs["data"] = b"bytes"
    for _ in range(3):
        assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    messages[1].additional_kwargs["data"] = bytearray(b"bytes")
    assert serde.dumps_typed(messages) == PLAIN.dumps_typed(messages)
    assert compared == []
