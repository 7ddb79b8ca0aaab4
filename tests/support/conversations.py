"""A thread to look at: a real graph with tools, a fork, a subgraph, and an interrupt that nobody has answered."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from ckptstore import SQLAlchemySaver
from tests.support.build import config

#: Goes to blob storage, where there is any.
FILE = b"%PDF-" + bytes(70_000)
#: Would turn what follows red.
RED = "\x1b[31m"


@dataclass
class Verdict:
    """A user's class, in the state."""

    text: str


class Chat(MessagesState, total=False):
    count: Annotated[int, operator.add]
    file: bytes
    verdict: Verdict


class Inner(TypedDict):
    x: str


def agent(_: Chat) -> dict[str, Any]:
    call = {"name": "search", "args": {"q": "weather"}, "id": "c", "type": "tool_call"}
    return {"messages": [AIMessage("I'll look.", id="ai", tool_calls=[call])], "count": 1}


def tool(_: Chat) -> dict[str, Any]:
    return {"messages": [ToolMessage("Sunny.", id="tool", tool_call_id="c")], "file": FILE, "verdict": Verdict("fine")}


def question(_: Inner) -> dict[str, Any]:
    return {"x": interrupt({"question": "really?"})}


def converse(saver: SQLAlchemySaver, thread_id: str = "ann", **metadata: Any) -> RunnableConfig:
    """Run the graph until it asks, then fork it after the agent's turn, until it asks again; returns the config of the fork's base."""
    inner = StateGraph(Inner).add_node("question", question).add_edge(START, "question").compile()

    def ask(_: Chat) -> dict[str, Any]:
        inner.invoke({"x": ""})
        return {}

    builder = StateGraph(Chat).add_node("agent", agent).add_node("tool", tool).add_node("ask", ask)
    graph = builder.add_edge(START, "agent").add_edge("agent", "tool").add_edge("tool", "ask").compile(checkpointer=saver)
    where: RunnableConfig = {**config(thread_id), "metadata": {"user_id": thread_id, **metadata}}
    graph.invoke({"messages": [HumanMessage(f"What is the weather? {RED}", id="human")]}, where)
    base: RunnableConfig = next(found.config for found in graph.get_state_history(where) if found.next == ("tool",))
    forked = graph.update_state(base, {"messages": [HumanMessage("And in Rome?", id="rome")]})
    graph.invoke(None, forked)
    return base
