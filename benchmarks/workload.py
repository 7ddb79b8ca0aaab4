"""What the sections store: threads made by hand, and a chat through a real graph."""

from __future__ import annotations

import random
import string
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph

from benchmarks.contenders import AnySaver

HUMAN_WORDS = 30
AI_WORDS = 120
_VOCABULARY = 6_000


def thread(thread_id: str) -> RunnableConfig:
    """A config that names a thread's root."""
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}


class HandMade:
    """A thread of checkpoints made by hand, each the child of the one before, without the cost of running a graph.

    Args:
        saver: where it goes.
        thread_id: its name.
        tags: what the metadata of each checkpoint holds beside what LangGraph writes.
    """

    def __init__(self, saver: AnySaver, thread_id: str, tags: Mapping[str, Any] | None = None) -> None:
        self.saver = saver
        self.tags = tags or {}
        self.config = thread(thread_id)
        self.values: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.step = -1

    async def put(self, **changed: Any) -> None:
        """Put a checkpoint in which these channels are new, and all others as they were."""
        self.config = await self.saver.aput(self.config, *self._next(changed))

    def put_now(self, **changed: Any) -> None:
        """The same, by the saver's synchronous method."""
        self.config = self.saver.put(self.config, *self._next(changed))

    def _next(self, changed: dict[str, Any]) -> tuple[Checkpoint, CheckpointMetadata, dict[str, Any]]:
        """The next checkpoint, its metadata, and the versions that are new in it."""
        self.step += 1
        self.values |= changed
        new = {channel: self.saver.get_next_version(self.versions.get(channel), None) for channel in changed}
        self.versions |= new
        checkpoint = empty_checkpoint()
        checkpoint["v"] = 4
        checkpoint["channel_values"] = dict(self.values)
        checkpoint["channel_versions"] = dict(self.versions)
        checkpoint["versions_seen"] = {"__input__": {}, "agent": dict(new)}
        metadata = {"source": "loop", "step": self.step, "parents": {}, **self.tags}
        return checkpoint, cast(CheckpointMetadata, metadata), new

    async def put_writes(self, **written: Any) -> None:
        """Put a task's writes to the newest checkpoint."""
        await self.saver.aput_writes(self.config, list(written.items()), f"task-{self.step}", "~__pregel_pull, agent")

    def put_writes_now(self, **written: Any) -> None:
        """The same, by the saver's synchronous method."""
        self.saver.put_writes(self.config, list(written.items()), f"task-{self.step}", "~__pregel_pull, agent")


def _vocabulary() -> list[str]:
    chance = random.Random(6_000)  # noqa: S311 - the same words in every run
    return ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(3, 10))) for _ in range(_VOCABULARY)]


_WORDS = _vocabulary()


def sentence(seed: str, words: int) -> str:
    """Random words, the same for the same seed: text that hardly compresses, unless it occurs again."""
    return " ".join(random.Random(seed).choices(_WORDS, k=words))  # noqa: S311


def chat_graph(saver: AnySaver) -> Any:
    """A chat of LangGraph's own `MessagesState`, whose only node answers in 120 words."""

    async def answer_soon(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        return answer(state, config)

    return _compiled(saver, answer_soon)


def answer(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    """The graph's next message."""
    seed = f"{config['configurable']['thread_id']} answer {len(state['messages'])}"
    return {"messages": [AIMessage(sentence(seed, AI_WORDS))]}


def _compiled(saver: AnySaver, node: Any) -> Any:
    builder = StateGraph(MessagesState)
    builder.add_node("answer", node)
    builder.add_edge(START, "answer")
    builder.add_edge("answer", END)
    return builder.compile(checkpointer=saver)


async def chat(saver: AnySaver, thread_id: str, turns: int, after: int = 0) -> None:
    """Hold a conversation, or go on with it after so many turns: each is 30 words of a person's and 120 of the graph's."""
    graph = chat_graph(saver)
    for turn in range(after, after + turns):
        question = HumanMessage(sentence(f"{thread_id} question {turn}", HUMAN_WORDS))
        await graph.ainvoke({"messages": [question]}, thread(thread_id))


def chat_in_thread(saver: AnySaver, thread_id: str, turns: int) -> None:
    """The same conversation in plain code: `graph.invoke`."""
    graph = _compiled(saver, answer)
    for turn in range(turns):
        question = HumanMessage(sentence(f"{thread_id} question {turn}", HUMAN_WORDS))
        graph.invoke({"messages": [question]}, thread(thread_id))


async def final_bytes(saver: AnySaver, thread_id: str) -> int:
    """Bytes of a chat's newest state, serialised as LangGraph does."""
    state = await chat_graph(saver).aget_state(thread(thread_id))
    return len(JsonPlusSerializer().dumps_typed(state.values)[1])
