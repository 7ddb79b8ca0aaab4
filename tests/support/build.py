"""Checkpoints that are built without a graph."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.base.id import UUID

from ckptstore import SQLAlchemySaver


def config(thread_id: Any, checkpoint_id: str | None = None, checkpoint_ns: str = "", **more: Any) -> RunnableConfig:
    """A config that names a thread, and one of its checkpoints if an id is given."""
    named = {"checkpoint_id": checkpoint_id} if checkpoint_id else {}
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, **named, **more}}


def checkpoint(values: dict[str, Any] | None = None, versions: dict[str, Any] | None = None, **parts: Any) -> Checkpoint:
    """A checkpoint in LangGraph's current format, with a new id; every value has a version unless versions are given."""
    values = values or {}
    made = empty_checkpoint()
    made.update({"v": 4, "channel_values": values, **parts})  # type: ignore[typeddict-item]
    made["channel_versions"] = dict.fromkeys(values, f"{1:010}.{'0' * 12}") if versions is None else versions
    return made


def id_at(moment: datetime, number: int = 0) -> str:
    """An id as LangGraph makes them at a moment; a greater number gives a greater id."""
    ticks = (moment - datetime(1582, 10, 15, tzinfo=UTC)) // timedelta(microseconds=1) * 10
    return str(UUID(int=ticks >> 12 << 80 | (ticks & 0xFFF) << 64 | number, version=6))


def metadata(step: int = 0, **more: Any) -> CheckpointMetadata:
    """The metadata that LangGraph gives a step."""
    made: dict[str, Any] = {"source": "loop", "step": step, "parents": {}, **more}
    return made  # type: ignore[return-value]


async def put(
    saver: SQLAlchemySaver, where: RunnableConfig, values: dict[str, Any] | None = None, step: int = 0, **more: Any
) -> RunnableConfig:
    """Put a checkpoint whose channels are all new; returns its config."""
    made = checkpoint(values)
    return await saver.aput(where, made, metadata(step, **more), made["channel_versions"])


async def chain(saver: SQLAlchemySaver, thread_id: str, length: int, **more: Any) -> list[RunnableConfig]:
    """A thread of checkpoints, each the parent of the next, with a value that changes every time."""
    where, configs = config(thread_id), []
    for step in range(length):
        version = f"{step + 1:010}.{'0' * 12}"
        made = checkpoint({"n": step}, {"n": version})
        where = await saver.aput(where, made, metadata(step, **more), {"n": version})
        configs.append(where)
    return configs
