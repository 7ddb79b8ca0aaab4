"""Graphs of one node, several subgraphs deep."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import START, StateGraph


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def graph_of(node: Callable[[Log], Log], depth: int, checkpointer: BaseCheckpointSaver[Any]) -> Any:
    """A graph of one node within `depth` graphs, all of which use the outermost one's saver."""
    compiled: Any = node
    for level in range(depth + 1):
        built = StateGraph(Log).add_node(f"at{level}", compiled).add_edge(START, f"at{level}")
        compiled = built.compile(checkpointer=checkpointer if level == depth else None)
    return compiled
