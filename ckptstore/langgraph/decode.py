"""Turns stored checkpoints, writes and histories into LangGraph's objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NoReturn, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.errors import CheckpointCorrupt
from ckptstore.langgraph.encode import SCALARS
from ckptstore.langgraph.format import FIRST_FORMAT_WITH_OWN_SENDS, TASKS_CHANNEL
from ckptstore.langgraph.serialise import decode, decode_all
from ckptstore.reads.rows import WAY_OUT, described, parsed_object
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
        CheckpointCorrupt: its body or its metadata was altered.
    """
    body, *decoded = decode_all(serde, [(_BODY, loaded.body), *loaded.values.items(), *map(_CHANNEL_AND_VALUE, loaded.writes)])
    stored = dict(zip(loaded.values, decoded, strict=False))
    versions: dict[str, Any] = dict(loaded.channel_versions)
    values: dict[str, Any] = {}
    try:
        scalars: dict[str, Any] = body.pop(SCALARS, {})
        # In the order in which they were put.
        for channel in versions:
            if channel in scalars:
                versions[channel], values[channel] = scalars[channel]
            elif channel in stored:
                values[channel] = stored[channel]
        versions |= body.pop("channel_versions", {})
        for channel in body.pop("unversioned", ()):
            del versions[channel]
    except (TypeError, ValueError, AttributeError, KeyError) as exc:
        _refuse_body(loaded.key, exc)
    if "channel_values" in body or (loaded.format < FIRST_FORMAT_WITH_OWN_SENDS and loaded.parent_sends):
        _add_old_forms(serde, loaded, body.get("channel_values", {}), values, versions, next_version)
    checkpoint = {"v": loaded.format, "id": loaded.key.checkpoint_id, **body, "channel_versions": versions, "channel_values": values}
    metadata = parsed_object(loaded.key, "metadata", loaded.metadata)
    parent = config_of(CheckpointKey(*loaded.key[:2], loaded.parent_checkpoint_id)) if loaded.parent_checkpoint_id else None
    writes = list(zip(map(_TASK, loaded.writes), map(_CHANNEL, loaded.writes), decoded[len(stored) :], strict=True))
    return CheckpointTuple(config_of(loaded.key), cast(Checkpoint, checkpoint), cast(CheckpointMetadata, metadata), parent, writes)


def _refuse_body(key: CheckpointKey, exc: Exception) -> NoReturn:
    """Refuse the body of a row without a checksum, which was deserialised to something else than a body."""
    raise CheckpointCorrupt(f"{described(key)}: its body was altered; {WAY_OUT}") from exc


def _add_old_forms(
    serde: SerializerProtocol,
    loaded: LoadedCheckpoint,
    inline: Mapping[str, Sequence[Any]],
    values: dict[str, Any],
    versions: dict[str, Any],
    next_version: Callable[[None, None], Any],
) -> None:
    """Add the values that schema revision 0001 kept in the body, and the tasks of an old format, whose `Send`s are writes of the parent."""
    try:
        serialised = [(channel, Value(*value)) for channel, value in inline.items()]
    except (TypeError, AttributeError) as exc:
        _refuse_body(loaded.key, exc)
    values |= {channel: decode(serde, value, channel) for channel, value in serialised}
    if loaded.format < FIRST_FORMAT_WITH_OWN_SENDS and loaded.parent_sends:
        values[TASKS_CHANNEL] = [decode(serde, write.value, TASKS_CHANNEL) for write in loaded.parent_sends]
        versions[TASKS_CHANNEL] = max(versions.values()) if versions else next_version(None, None)


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
        try:
            return {"writes": writes, "seed": body[SCALARS][channel][1]}
        except (TypeError, LookupError) as exc:
            raise CheckpointCorrupt(f"the body of a checkpoint with a value of channel {channel!r} was altered; {WAY_OUT}") from exc
    if history.seed is None:
        return {"writes": writes}
    return {"writes": writes, "seed": decode(serde, history.seed, channel)}
