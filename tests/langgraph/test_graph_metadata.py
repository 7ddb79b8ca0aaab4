"""What a caller says in a config's metadata can be searched for, in a real graph, and LangChain's callbacks see what they always saw."""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import uuid4

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from ckptstore import SQLAlchemySaver


class State(TypedDict, total=False):
    foo: str


class Spy(BaseCallbackHandler):
    """Notes the tags and the metadata of every run."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, *, tags: Any = None, metadata: Any = None, **_: Any) -> None:
        without_ids = {name: value for name, value in (metadata or {}).items() if "checkpoint_ns" not in name and name != "thread_id"}
        self.seen.append((tags, without_ids))


def builder() -> Any:
    inner = StateGraph(State)
    inner.add_node("inner", lambda _: {"foo": "baz"})
    inner.add_edge(START, "inner")
    outer = StateGraph(State)
    outer.add_node("outer", inner.compile(checkpointer=True))
    outer.add_edge(START, "outer")
    return outer


SAID: dict[str, Any] = {"score": 0.9, "tags": ["billing", "new"], "user": {"email": "a@b", "roles": [{"name": "admin"}]}, "none": None}
FILTERS: list[dict[str, Any]] = [
    {"score": {"$gte": 0.8}, "tags": ["billing"]},
    {"user": {"email": "a@b"}},
    {"user": {"roles": [{"name": "admin"}]}},
    {"none": None},
    {"tenant": "acme", "user": {"$exists": True}},
]


def config_of(thread_id: str, callbacks: list[BaseCallbackHandler] | None = None) -> RunnableConfig:
    where = {"thread_id": thread_id, "tenant": "acme"}
    return {"configurable": where, "metadata": dict(SAID), "tags": ["lc"], "run_id": uuid4(), "callbacks": callbacks}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_everything_that_a_config_has_is_found(saver: SQLAlchemySaver, asynchronous: bool) -> None:
    graph = builder().compile(checkpointer=saver)
    if asynchronous:
        await graph.ainvoke({"foo": ""}, config_of("t"))
    else:
        graph.invoke({"foo": ""}, config_of("t"))
    everything = await saver.alist(None)
    assert {c.config["configurable"]["checkpoint_ns"] for c in everything} == {"", "outer"}
    for wanted in FILTERS:
        found = await saver.alist(None, filter=wanted) if asynchronous else list(saver.list(None, filter=wanted))
        assert [c.checkpoint["id"] for c in found] == [c.checkpoint["id"] for c in everything], wanted
    assert SAID.items() <= dict(graph.get_state(config_of("t")).metadata or {}).items()
    assert await saver.alist(None, filter={"tags": ["billing", "old"]}) == []


def test_callbacks_see_what_they_see_beside_langgraphs_own_saver() -> None:
    seen = []
    with SQLAlchemySaver.from_conn_string(":memory:") as ours:
        for saver in (ours, InMemorySaver()):
            spy = Spy()
            builder().compile(checkpointer=saver).invoke({"foo": ""}, config_of("t", callbacks=[spy]))
            seen.append(spy.seen)
    assert seen[0] == seen[1] != []
    assert all(metadata["user"] == SAID["user"] for _, metadata in seen[0])
