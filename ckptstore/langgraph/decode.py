"""Turns stored checkpoints, writes and histories into LangGraph's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.langgraph.encode import SCALARS
from ckptstore.langgraph.format import FIRST_FORMAT_WITH_OWN_SENDS, TASKS_CHANNEL
from ckptstore.langgraph.serialise import decode, decode_all
from ckptstore.reads.rows import parsed_object
from ckptstore.records import (
    ChannelHistory,
    CheckpointKey,
    LoadedCheckpoint,
    LoadedWrite,
    Value,
)

#: Stands for the channel in errors about the body.
_BODY = "(the checkpoint itself)"
_TASK, _CHANNEL, _CHANNEL_AND_VALUE = attrgetter("task_id"), attrgetter("channel"), attrgetter("channel", "value")


def decode_checkpoint(serde: SerializerProtocol, loaded: LoadedCheckpoint, next_version: Callable[[None, None], Any]) -> CheckpointTuple:
    """LangGraph's tuple for a stored checkpoint. A channel that was never set is absent from `channel_values`.

    Args:
        serde: the saver's serialiser.
        loaded: the stored checkpoint.
        next_version: makes a version for the tasks channel of an old format if the checkpoint has no other version.

    Raises:
        SerializationFailed: the serialiser can't read a value.
    """
    body, *decoded = decode_all(serde, [(_BODY, loaded.body), *loaded.values.items(), *map(_CHANNEL_AND_VALUE, loaded.writes)])
    stored = dict(zip(loaded.values, decoded, strict=False))
    scalars: dict[str, Any] = body.pop(SCALARS, {})
    versions: dict[str, Any] = dict(loaded.channel_versions)
    values: dict[str, Any] = {}
    # In the order in which they were put.
    for channel in versions:
        if channel in scalars:
            versions[channel], values[channel] = scalars[channel]
        elif channel in stored:
            values[channel] = stored[channel]
    versions |= body.pop("channel_versions", {})
    for channel in body.pop("unversioned", ()):
        del versions[channel]
    if "channel_values" in body:
        # Schema revision 0001 stored channels without a version here.
        values |= {channel: decode(serde, Value(*value), channel) for channel, value in body.pop("channel_values").items()}
    if loaded.format < FIRST_FORMAT_WITH_OWN_SENDS and loaded.parent_sends:
        values[TASKS_CHANNEL], versions[TASKS_CHANNEL] = _parent_sends(serde, loaded, versions, next_version)
    checkpoint = {"v": loaded.format, "id": loaded.key.checkpoint_id, **body, "channel_versions": versions, "channel_values": values}
    return CheckpointTuple(
        config=config_of(loaded.key),
        checkpoint=cast(Checkpoint, checkpoint),
        metadata=cast(CheckpointMetadata, parsed_object(loaded.key, "metadata", loaded.metadata)),
        parent_config=config_of(CheckpointKey(*loaded.key[:2], loaded.parent_checkpoint_id)) if loaded.parent_checkpoint_id else None,
        pending_writes=list(zip(map(_TASK, loaded.writes), map(_CHANNEL, loaded.writes), decoded[len(stored) :], strict=True)),
    )


def _parent_sends(
    serde: SerializerProtocol, loaded: LoadedCheckpoint, versions: Mapping[str, Any], next_version: Callable[[None, None], Any]
) -> tuple[list[Any], Any]:
    """Value and version of the tasks channel of an old format, whose `Send`s are writes of the parent."""
    sends = [decode(serde, write.value, TASKS_CHANNEL) for write in loaded.parent_sends]
    return sends, max(versions.values()) if versions else next_version(None, None)


def config_of(key: CheckpointKey) -> RunnableConfig:
    """The config that names a checkpoint."""
    thread_id, checkpoint_ns, checkpoint_id = key
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}}


def _decode_writes(serde: SerializerProtocol, writes: Sequence[LoadedWrite]) -> list[PendingWrite]:
    values = decode_all(serde, map(_CHANNEL_AND_VALUE, writes))
    return list(zip(map(_TASK, writes), map(_CHANNEL, writes), values, strict=True))


def decode_history(serde: SerializerProtocol, history: ChannelHistory, channel: str) -> DeltaChannelHistory:
    """LangGraph's history of one channel; without `seed` if no ancestor stored a value."""
    writes = _decode_writes(serde, history.writes)
    if history.body is not None:
        body: dict[str, Any] = decode(serde, history.body, _BODY)
        return {"writes": writes, "seed": body[SCALARS][channel][1]}
    if history.seed is None:
        return {"writes": writes}
    return {"writes": writes, "seed": decode(serde, history.seed, channel)}
