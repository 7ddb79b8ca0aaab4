"""A saver reuses what it knows of messages, and nobody can tell by what is stored or read."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.errors import SerializationFailed
from tests.support.build import checkpoint, config, metadata, put
from tests.support.message_lists import Mood, chat, parts
from tests.support.serialisers import encrypting
from tests.support.values import SERDE, StoreAddress, read, rows


def as_langgraph_reads(value: Any) -> Any:
    return parts(SERDE.loads_typed(SERDE.dumps_typed(value)))


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[HumanMessage]:
    """Every `HumanMessage` that is built with validation."""
    found: list[HumanMessage] = []
    original = HumanMessage.__init__

    def init(self: HumanMessage, *args: Any, **kwargs: Any) -> None:
        found.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(HumanMessage, "__init__", init)
    return found


WAYS: dict[str, tuple[dict[str, Any], int]] = {"on": ({}, 1), "off": ({"reuse": False}, 3), "encrypted": ({"serde": encrypting()}, 3)}


@pytest.mark.parametrize(("options", "times"), WAYS.values(), ids=WAYS)
async def test_messages_are_validated_once_unless_the_user_chooses_otherwise(
    file_address: StoreAddress, validated: list[HumanMessage], options: dict[str, Any], times: int
) -> None:
    messages = [HumanMessage(f"{options} {n} " + "x" * 200) for n in range(20)]
    async with file_address.open(**options) as saver:
        await put(saver, config("t"), {"messages": messages})
        as_read = as_langgraph_reads(messages)
        validated.clear()
        for _ in range(3):
            found = (await read(saver))["messages"]
            assert parts(found) == as_read
            found[0].additional_kwargs["mine"] = True
    assert len(validated) == 20 * times


async def test_the_stored_rows_are_the_same_with_and_without_reuse(file_address: StoreAddress) -> None:
    stored = []
    for reuse in (True, True, False):
        async with file_address.open(reuse=reuse) as saver:
            await put(saver, config("t"), {"messages": chat(60), "state": {"history": chat(20), "n": 1}})
            stored.append(sorted(repr(row) for name, row in rows(saver) if name.endswith("ckpt_segment")))
            await saver.adelete_thread("t")
    assert stored[0]
    assert stored[0] == stored[1] == stored[2]


async def test_a_message_that_is_changed_between_two_puts_is_stored(address: StoreAddress) -> None:
    messages: list[Any] = chat(40)
    async with address.open() as saver:
        first = await put(saver, config("t"), {"messages": messages})
        before = as_langgraph_reads(messages)
        messages[3].tool_calls[0]["args"]["deep"][1]["x"] = 2
        changed = checkpoint({"messages": messages}, {"messages": f"{2:010}.{'0' * 12}"})
        second = await saver.aput(first, changed, metadata(1), changed["channel_versions"])
        assert parts((await read(saver, first))["messages"]) == before
        assert parts((await read(saver, second))["messages"]) == as_langgraph_reads(messages)


async def test_a_clone_of_the_saver_keeps_to_its_own_allowlist(file_address: StoreAddress) -> None:
    found = [ToolMessage("x" * 300, tool_call_id=str(n), artifact=Mood.CALM) for n in range(10)]
    async with file_address.open(strict=True) as saver:
        await put(saver, config("t"), {"messages": found})
        clone: Any = saver.with_allowlist([(Mood.__module__, Mood.__qualname__)])
        for reader, allowed in ((clone, True), (saver, False), (clone, True)):
            assert all((message.artifact is Mood.CALM) == allowed for message in (await read(reader))["messages"])


async def test_an_error_names_the_users_serialiser(file_address: StoreAddress) -> None:
    broken: list[Any] = [*chat(20), AIMessage("", additional_kwargs={"a": object()})]
    async with file_address.open() as saver:
        with pytest.raises(SerializationFailed, match=f"a value of type list that {JsonPlusSerializer.__name__} can't serialise"):
            await put(saver, config("t"), {"messages": broken})
        await put(saver, config("t"), {"messages": chat(20)})
        assert parts((await read(saver))["messages"]) == as_langgraph_reads(chat(20))
