"""Whoever can write to the database can't leave the encryption out, nor choose which class a strict saver builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph, add_messages
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from ckptstore.errors import NotEncrypted
from tests.support.build import config, put
from tests.support.serialisers import encrypting

TEXT = "long enough to have a row of its own, and longer"


async def fill(url: str, serde: SerializerProtocol | None) -> None:
    async with SQLAlchemySaver.from_conn_string(url, serde=serde) as saver:
        where = await put(saver, config("t"), {"text": TEXT})
        await saver.aput_writes(where, [("text", TEXT)], "task")


async def test_an_encrypted_store_refuses_what_is_not_encrypted(lasting_url: str) -> None:
    await fill(lasting_url, None)
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=encrypting()) as saver:
        with pytest.raises(NotEncrypted, match=r"without encryption.*allow_plain=True"):
            await saver.aget_tuple(config("t"))
        with pytest.raises(NotEncrypted):
            await saver.alist(config("t"))
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=encrypting(), allow_plain=True) as saver:
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"text": TEXT}
        assert found.pending_writes == [("task", "text", TEXT)]


@pytest.mark.parametrize("table", ["ckpt_checkpoint", "ckpt_channel", "ckpt_write"])
async def test_one_plain_row_among_encrypted_ones_is_refused(lasting_url: str, table: str) -> None:
    await fill(lasting_url, encrypting())
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=encrypting()) as saver:
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        statement = f"UPDATE {table} SET type = 'msgpack'"
        saver.store.runner.write(lambda db: db.execute(statement)).result()
        with pytest.raises(Exception, match=r"without encryption|checksum") as caught:
            await saver.aget_tuple(config("t"))
        assert TEXT not in str(caught.value)


@dataclass
class Pet:
    name: str


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]
    pet: Pet


async def test_a_strict_saver_serves_a_graph_and_the_classes_of_its_state(lasting_url: str) -> None:
    chat = StateGraph(Chat).add_node("say", lambda _state: {"messages": [AIMessage("b", id="2")], "pet": Pet("Rex")})
    for _ in range(2):
        async with SQLAlchemySaver.from_conn_string(lasting_url, strict=True) as saver:
            graph = chat.add_edge(START, "say").compile(checkpointer=saver)
            given: Any = {"messages": [HumanMessage("a", id="1")]}
            state = await graph.ainvoke(given, config("t"))
            assert [message.id for message in state["messages"]] == ["1", "2"]
            found = await graph.aget_state(config("t"))
            assert isinstance(found.values["messages"][0], HumanMessage)


async def test_a_strict_saver_does_not_build_a_class_that_a_row_names(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=JsonPlusSerializer(allowed_msgpack_modules=True)) as saver:
        await put(saver, config("t"), {"pet": Pet("Rex")})
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"pet": Pet("Rex")}
    async with SQLAlchemySaver.from_conn_string(lasting_url, strict=True) as saver:
        found = await saver.aget_tuple(config("t"))
        assert found is not None
        assert not isinstance(found.checkpoint["channel_values"]["pet"], Pet)
