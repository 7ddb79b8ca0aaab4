"""LangGraph's checkpoints and writes to records and back, through the saver's serialiser."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from ckptstore.db.sql.tables import TASKS_CHANNEL
from ckptstore.errors import SerializationFailed
from ckptstore.handles import BlobRef, digests_in, may_hold_digests
from ckptstore.names import check_channels
from ckptstore.records import (
    ChannelHistory,
    CheckpointKey,
    LoadedCheckpoint,
    LoadedWrite,
    NewCheckpoint,
    NewWrite,
    NewWrites,
    SerialisedValue,
    Value,
)
from ckptstore.tags import encoding as tags
from ckptstore.tags.keys import TagKeys
from ckptstore.values.binary_leaves import cuts_round, leaves_of
from ckptstore.values.chunking import BLOB_BYTES
from ckptstore.values.size_limits import Limiter, Place

logger = logging.getLogger(__name__)

_HANDLE_TYPE = (BlobRef.__module__, BlobRef.__name__)

# Kept in columns of their own, or put together again on load.
_NOT_IN_BODY = ("channel_values", "channel_versions", "id", "v")
_FIRST_FORMAT_WITH_OWN_SENDS = 4
# Where a body has what is too small for a row of its own: channel -> version and value.
_SCALARS = "scalars"
_LONGEST_SCALAR = 32
# No version begins like this: they are counters.
_OWN_VERSION = "="
# What LangGraph's own serialiser calls its formats.
_PLAIN_TYPES = frozenset(("null", "bytes", "bytearray", "msgpack", "json", "pickle"))
# Made once: `json.dumps` would make one for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode
# Only ever writes, and keeps nothing of what it writes: threads may share it.
_PLAIN = JsonPlusSerializer(pickle_fallback=True)


def allow_handles(saver: BaseCheckpointSaver[Any]) -> SerializerProtocol:
    """A saver's serialiser, letting `BlobRef` through where LangGraph only lets known types through."""
    return BaseCheckpointSaver.with_allowlist(saver, [_HANDLE_TYPE]).serde


def _is_no_warning_of_handles(record: logging.LogRecord) -> bool:
    return not (isinstance(record.args, tuple) and record.args[:2] == _HANDLE_TYPE)


# Where it lets everything through, LangGraph warns that types it does not know will be blocked one day. Handles will not be.
logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_is_no_warning_of_handles)


class Placed(NamedTuple):
    """Where a checkpoint belongs, and when it came."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int


def serialise(serde: SerializerProtocol, value: Any, channel: str) -> Value:
    """Serialise the value of one channel, and find its large binary leaves; not yet the blobs that it refers to.

    Raises:
        SerializationFailed: the serialiser refuses it; the message names the channel, never the value.
    """
    try:
        type_, data = serde.dumps_typed(value)
    except Exception as exc:
        raise SerializationFailed(
            f"channel {channel!r} holds a {type(value).__name__} that {type(serde).__name__} can't serialise "
            f"({type(exc).__name__}); keep it out of the state, or pass a serde that knows it"
        ) from exc
    data = bytes(data)
    if len(data) < BLOB_BYTES:
        return Value(type_, data)
    return Value(type_, data, cuts_round(leaves_of(value, type_, data), data))


def with_references(serialised: Value, value: Any) -> Value:
    """A value's bytes with the blobs that it refers to."""
    if serialised.type in _PLAIN_TYPES and not may_hold_digests(serialised.data):
        # Nearly all values.
        return serialised
    found = _references(serialised.type, serialised.data, serialised.cuts, value)
    return serialised._replace(references=found) if found else serialised


def _references(type_: str, data: bytes, leaves: Sequence[int], value: Any) -> Sequence[str]:
    """The blobs whose handles a value holds: not those in large binary leaves, which are files, and not text of the state."""
    if type_ not in _PLAIN_TYPES:
        data, leaves = _plain_bytes(data, value), ()
    if not leaves:
        return digests_in(data)
    outside = zip([0, *leaves[1::2]], [*leaves[::2], len(data)], strict=True)
    return list(dict.fromkeys(digest for start, end in outside for digest in digests_in(data[start:end])))


def _plain_bytes(data: bytes, value: Any) -> bytes:
    """A value in bytes in which handles can be found: in encrypted ones they can't."""
    try:
        return _PLAIN.dumps_typed(value)[1]
    except Exception:
        # The value's own methods run here and may raise anything, but the caller's serialiser took the value: the write goes on,
        # and that serialiser's bytes are all there is to look in.
        logger.debug("no plain form to look for handles in", extra={"event": "handles_unsearched", "type": type(value).__name__})
        return data


def decode(serde: SerializerProtocol, value: SerialisedValue, channel: str) -> Any:
    """The value that `serialise` was given.

    Raises:
        SerializationFailed: the serialiser can't read it back; the message names the channel and its type tag.
        BlobMissing: a part of it is not there.
        BlobCorrupt: a part of it is not what was stored.
    """
    data = value.data
    try:
        return serde.loads_typed((value.type, data))
    except Exception as exc:
        raise SerializationFailed(
            f"channel {channel!r} was stored as {value.type!r}, which {type(serde).__name__} can't read "
            f"({type(exc).__name__}); open the store with the serde (and key) that wrote it"
        ) from exc


class Encoder:
    """Makes records of checkpoints and writes.

    Args:
        serde: the saver's serialiser.
        tag_keys: which keys of metadata become tags.
        limiter: refuses what is too large, as soon as its size is known.
    """

    def __init__(self, serde: SerializerProtocol, tag_keys: TagKeys, limiter: Limiter) -> None:
        self._serde = serde
        self._tag_keys = tag_keys
        self._limiter = limiter

    def checkpoint(
        self, config: RunnableConfig, place: Placed, checkpoint: Checkpoint, metadata: CheckpointMetadata, stored_now: Collection[str]
    ) -> NewCheckpoint:
        """A checkpoint as a record: the channels in `stored_now` with their values, the others by their versions.

        A channel without a version is stored with one that nobody else has, and given back without.

        Raises:
            SerializationFailed: a value can't be serialised.
            CheckpointTooLarge: the checkpoint is past a limit.
        """
        key = place.key
        versions = {channel: str(version) for channel, version in checkpoint.get("channel_versions", {}).items()}
        given = checkpoint.get("channel_values", {})
        check_channels(versions.keys() | given.keys())
        unversioned = [channel for channel in given if channel not in versions]
        versions |= dict.fromkeys(unversioned, f"{_OWN_VERSION}{key.checkpoint_id}")
        scalars = {channel: [versions[channel], value] for channel, value in given.items() if _is_scalar(value)}
        now = {*stored_now, *unversioned}
        apart = [channel for channel in given if channel not in scalars]
        changed = {channel: serialise(self._serde, given[channel], channel) for channel in apart if channel in now}
        carried = [channel for channel in apart if channel not in now]
        body_parts = _body(checkpoint, unversioned, scalars)
        body = serialise(self._serde, body_parts, "(the checkpoint itself)")
        merged = _metadata(config, metadata, self._tag_keys)
        metadata_json = tags.to_json(merged)
        self._limiter.admit_checkpoint(
            Place(key.thread_id, key.checkpoint_ns),
            changed,
            carried,
            versions,
            lambda channel: serialise(self._serde, given[channel], channel),
            besides=len(body.data) + len(metadata_json.encode()),
        )
        return NewCheckpoint(
            key=key,
            parent_checkpoint_id=place.parent_checkpoint_id,
            created_at=place.created_at,
            format=int(checkpoint.get("v", 1)),
            body=with_references(body, body_parts),
            channel_versions=_to_json(versions | dict.fromkeys(scalars)),
            metadata=metadata_json,
            values=[(channel, versions[channel], with_references(each, given[channel])) for channel, each in changed.items()],
            carried=[(channel, versions[channel]) for channel in carried],
            postings=tags.postings(tags.json_values(merged, metadata_json), self._tag_keys),
        )

    def writes(self, key: CheckpointKey, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str, created_at: int) -> NewWrites:
        """A task's writes as a record. Only a batch of nothing but special channels replaces what is there.

        Raises:
            SerializationFailed: a value can't be serialised.
            CheckpointTooLarge: together they are past a limit.
        """
        check_channels(channel for channel, _ in writes)
        serialised = [(channel, serialise(self._serde, value, channel)) for channel, value in writes]
        self._limiter.admit_writes(key.thread_id, serialised)
        encoded = [
            NewWrite(WRITES_IDX_MAP.get(channel, place), channel, with_references(each, writes[place][1]))
            for place, (channel, each) in enumerate(serialised)
        ]
        replace = all(channel in WRITES_IDX_MAP for channel, _ in writes)
        return NewWrites(key, task_id, task_path, created_at, encoded, replace)


def _metadata(config: RunnableConfig, metadata: CheckpointMetadata, tag_keys: TagKeys) -> dict[str, Any]:
    """LangGraph's metadata with the config's merged in, but for the configurable's credentials: metadata is plain text."""
    merged = cast(dict[str, Any], get_serializable_checkpoint_metadata(config, metadata))
    for name in config.get("configurable") or ():
        if name in merged and name not in metadata and tag_keys.is_credential(name):
            del merged[name]
    return merged


def _is_scalar(value: Any) -> bool:
    """Whether a value is kept in the body: it takes less there than a row of its own would, even in every checkpoint that has it."""
    kind = type(value)
    if kind is str:
        return len(value) <= _LONGEST_SCALAR and value.isascii()
    # What is beyond 64 bits is the serialiser's to refuse, with the name of its channel.
    return value is None or kind is bool or kind is float or (kind is int and -(2**63) <= value < 2**63)


def _body(checkpoint: Checkpoint, unversioned: Sequence[str], scalars: Mapping[str, Any]) -> dict[str, Any]:
    """What of a checkpoint is kept in one piece.

    Args:
        checkpoint: all of it.
        unversioned: the channels that have a value and no version.
        scalars: version and value of each channel whose value is kept here.
    """
    body: dict[str, Any] = {name: part for name, part in checkpoint.items() if name not in _NOT_IN_BODY}
    if scalars:
        body[_SCALARS] = scalars
    if unversioned:
        body["unversioned"] = list(unversioned)
    if not set(map(type, checkpoint.get("channel_versions", {}).values())) <= {str}:
        # The column holds them as text; what is not text keeps its type here.
        body["channel_versions"] = dict(checkpoint["channel_versions"])
    return body


def decode_checkpoint(serde: SerializerProtocol, loaded: LoadedCheckpoint, next_version: Callable[[None, None], Any]) -> CheckpointTuple:
    """The tuple that LangGraph asked for. A channel that was never set is absent."""
    body: dict[str, Any] = decode(serde, loaded.body, "(the checkpoint itself)")
    scalars: dict[str, Any] = body.pop(_SCALARS, {})
    versions: ChannelVersions = dict(loaded.channel_versions) | {channel: version for channel, (version, _) in scalars.items()}
    versions |= body.pop("channel_versions", {})
    for channel in body.pop("unversioned", ()):
        del versions[channel]
    values = {
        channel: scalars[channel][1] if channel in scalars else decode(serde, loaded.values[channel], channel)
        for channel in loaded.channel_versions
        if channel in scalars or channel in loaded.values
    }
    # Where revision 0001 kept channels without a version.
    values |= {channel: decode(serde, Value(*value), channel) for channel, value in body.pop("channel_values", {}).items()}
    if loaded.format < _FIRST_FORMAT_WITH_OWN_SENDS and loaded.parent_sends:
        values[TASKS_CHANNEL] = [decode(serde, write.value, TASKS_CHANNEL) for write in loaded.parent_sends]
        versions[TASKS_CHANNEL] = max(versions.values()) if versions else next_version(None, None)
    checkpoint = {"v": loaded.format, "id": loaded.key.checkpoint_id, **body, "channel_versions": versions, "channel_values": values}
    thread_id, checkpoint_ns, _ = loaded.key
    parent = loaded.parent_checkpoint_id
    return CheckpointTuple(
        config=config_of(loaded.key),
        checkpoint=cast(Checkpoint, checkpoint),
        metadata=json.loads(loaded.metadata),
        parent_config=config_of(CheckpointKey(thread_id, checkpoint_ns, parent)) if parent else None,
        pending_writes=[decode_write(serde, write) for write in loaded.writes],
    )


def config_of(key: CheckpointKey) -> RunnableConfig:
    """The config that names a checkpoint."""
    thread_id, checkpoint_ns, checkpoint_id = key
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}}


def decode_write(serde: SerializerProtocol, write: LoadedWrite) -> tuple[str, str, Any]:
    """A pending write as LangGraph wants it."""
    return write.task_id, write.channel, decode(serde, write.value, write.channel)


def decode_history(serde: SerializerProtocol, history: ChannelHistory, channel: str) -> DeltaChannelHistory:
    """What a channel was given; without `seed` where no ancestor stored a value."""
    writes = [decode_write(serde, write) for write in history.writes]
    if history.body is not None:
        body: dict[str, Any] = decode(serde, history.body, "(the checkpoint itself)")
        return {"writes": writes, "seed": body[_SCALARS][channel][1]}
    if history.seed is None:
        return {"writes": writes}
    return {"writes": writes, "seed": decode(serde, history.seed, channel)}
