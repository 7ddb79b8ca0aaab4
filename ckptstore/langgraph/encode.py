"""LangGraph's checkpoints and writes to records, through the saver's serialiser."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.langgraph.checks import check_checkpoint, check_writes, checked_versions
from ckptstore.langgraph.config import check_channels, check_ids, ids_of, key_of, require_text
from ckptstore.langgraph.format import INPUT
from ckptstore.langgraph.metadata import MetadataEncoder
from ckptstore.langgraph.serialise import serialise, with_references
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrite, NewWrites, Value
from ckptstore.values.size_limits import SizeChecker, ThreadNs
from ckptstore.writes.attempt import WriteAttempt

# Stored in columns, or rebuilt when a checkpoint is loaded.
_NOT_IN_BODY = ("channel_values", "channel_versions", "id", "v")
#: The part of a body with values too small for rows of their own: channel -> version and value.
SCALARS = "scalars"
_MAX_SCALAR_LENGTH = 32
#: No other version starts with it: others are counters.
OWN_VERSION = "="
# Created once: `json.dumps` would create an encoder for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class NewCheckpointKey(NamedTuple):
    """Key, parent id and creation time of a checkpoint being stored."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int


class CheckpointPut(WriteAttempt):
    """One `put` of a saver.

    Args:
        encoder: the saver's.
        config: of the put, like the next three.
        checkpoint: see `BaseCheckpointSaver.put`.
        metadata: see `BaseCheckpointSaver.put`.
        new_versions: see `BaseCheckpointSaver.put`.
        created_at: microseconds since 1970, UTC.
    """

    __slots__ = ("_checkpoint", "_config", "_encoder", "_metadata", "_stored_now", "at")
    operation = "put"

    def __init__(
        self,
        encoder: Encoder,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
        created_at: int,
    ) -> None:
        thread_id, checkpoint_ns, parent_id = ids_of(config)
        check_checkpoint(checkpoint, new_versions)
        key = CheckpointKey(thread_id, checkpoint_ns, require_text(checkpoint.get("id"), "checkpoint id"))
        check_ids(key._asdict(), parent_id=parent_id or "")
        super().__init__(key, encoder.expected_bytes(thread_id, checkpoint_ns, new_versions))
        self.at = NewCheckpointKey(key, parent_id, created_at)
        self._encoder = encoder
        self._config = config
        self._checkpoint = checkpoint
        self._metadata = metadata
        self._stored_now = set(new_versions)

    def serialise(self, not_stored: Sequence[str]) -> NewCheckpoint:
        """The checkpoint as a record, see `WriteAttempt.serialise`."""
        self._stored_now.update(not_stored)
        return self._encoder.checkpoint(self._config, self.at, self._checkpoint, self._metadata, self._stored_now)


class TaskWritesPut(WriteAttempt):
    """One `put_writes` of a saver; its arguments are those of `BaseCheckpointSaver.put_writes`."""

    __slots__ = ("_created_at", "_encoder", "_task_id", "_task_path", "_writes")
    operation = "put_writes"

    def __init__(
        self, encoder: Encoder, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str, created_at: int
    ) -> None:
        super().__init__(key_of(config))
        self._encoder = encoder
        self._writes = check_writes(writes)
        self._task_id = require_text(task_id, "task id")
        self._task_path = require_text(task_path, "task path")
        check_ids({**self.key._asdict(), "task id": task_id}, task_path=task_path)
        self._created_at = created_at

    def serialise(self, not_stored: Sequence[str]) -> NewWrites:
        """The writes as a record, see `WriteAttempt.serialise`; no channel is carried."""
        return self._encoder.writes(self.key, self._writes, self._task_id, self._task_path, self._created_at)


class Encoder:
    """Makes records of checkpoints and writes.

    Args:
        serde: the saver's serialiser.
        metadata: makes the metadata of checkpoints.
        limiter: rejects what is too large, as soon as its size is known.
    """

    __slots__ = ("_limiter", "_metadata", "_serde")

    def __init__(self, serde: SerializerProtocol, metadata: MetadataEncoder, limiter: SizeChecker) -> None:
        self._serde = serde
        self._metadata = metadata
        self._limiter = limiter

    def expected_bytes(self, thread_id: str, checkpoint_ns: str, channels: Collection[str]) -> int:
        """About how many bytes some channels serialise to: as many as when they were stored last."""
        return self._limiter.known_size(ThreadNs(thread_id, checkpoint_ns), channels)

    def checkpoint(
        self,
        config: RunnableConfig,
        at: NewCheckpointKey,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        stored_now: Collection[str],
        own_versions: Collection[str] = (),
    ) -> NewCheckpoint:
        """A checkpoint as a record: the channels in `stored_now` with their values, the others by their versions.

        A channel without a version is stored with a version of its own, and loaded without one. So is a channel in `own_versions`,
        which has another value, or none, in another checkpoint of the same version; it is loaded with its version.

        Raises:
            SerializationFailed: a value can't be serialised.
            CheckpointTooLarge: the checkpoint exceeds a limit.
        """
        given = checkpoint.get("channel_values", {})
        channels = _sort_channels(at.key, checkpoint, stored_now, own_versions)
        changed = {channel: serialise(self._serde, given[channel], channel) for channel in channels.changed}
        body_parts = _body(checkpoint, channels, own_versions)
        body = serialise(self._serde, body_parts, "(the checkpoint itself)")
        stored_metadata = self._metadata.encode(at.key, config, metadata)
        self._check_limits(at.key, channels, changed, given, len(body.data) + len(stored_metadata.text.encode()))
        values = [(channel, channels.versions[channel], with_references(value, given[channel])) for channel, value in changed.items()]
        return NewCheckpoint(
            key=at.key,
            parent_checkpoint_id=at.parent_checkpoint_id,
            created_at=at.created_at,
            format=int(checkpoint.get("v", 1)),
            body=with_references(body, body_parts),
            channel_versions=_to_json({**channels.versions, **dict.fromkeys(channels.scalars)}),
            metadata=stored_metadata.text,
            values=values,
            carried=[(channel, channels.versions[channel]) for channel in channels.carried],
            postings=stored_metadata.postings,
            size=len(body.data) + sum([len(value.data) for value in changed.values()]),
        )

    def _check_limits(
        self, key: CheckpointKey, channels: _Channels, changed: Mapping[str, Value], given: Mapping[str, Any], other_bytes: int
    ) -> None:
        """Check a checkpoint against the limits; a carried channel whose size is unknown is serialised to measure it."""

        def measure(channel: str) -> Value:
            return serialise(self._serde, given[channel], channel)

        namespace = ThreadNs(key.thread_id, key.checkpoint_ns)
        inputs = {INPUT: given[INPUT]} if INPUT in changed and isinstance(given[INPUT], Mapping) else {}
        self._limiter.check_checkpoint(namespace, changed, channels.carried, channels.versions, measure, other_bytes, inputs)

    def writes(self, key: CheckpointKey, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str, created_at: int) -> NewWrites:
        """A task's writes as a record. Only a batch of nothing but special channels replaces earlier writes.

        Raises:
            SerializationFailed: a value can't be serialised.
            CheckpointTooLarge: together they exceed a limit.
        """
        channels = [channel for channel, _ in writes]
        serialised = [(channel, serialise(self._serde, value, channel)) for channel, value in writes]
        self._limiter.check_writes(key.thread_id, serialised)
        records = [
            NewWrite(WRITES_IDX_MAP.get(channel, idx), channel, with_references(value, writes[idx][1]))
            for idx, (channel, value) in enumerate(serialised)
        ]
        return NewWrites(key, task_id, task_path, created_at, records, replace=WRITES_IDX_MAP.keys() >= set(channels))


@dataclass(slots=True)
class _Channels:
    """A checkpoint's channels, grouped by how each is stored."""

    #: channel -> version, for all of them.
    versions: dict[str, str]
    #: channel -> version and value of those that are stored in the body.
    scalars: dict[str, list[Any]] = field(default_factory=dict)
    #: Those that are stored with this checkpoint.
    changed: list[str] = field(default_factory=list)
    #: Those that an earlier checkpoint stored.
    carried: list[str] = field(default_factory=list)
    #: Those that have a value and no version.
    unversioned: list[str] = field(default_factory=list)


def _sort_channels(key: CheckpointKey, checkpoint: Checkpoint, stored_now: Collection[str], own_versions: Collection[str]) -> _Channels:
    """Sort a checkpoint's channels; those without a version get one that no other checkpoint has."""
    channels = _Channels(checked_versions(key, checkpoint.get("channel_versions", {})))
    versions = channels.versions
    given = checkpoint.get("channel_values", {})
    if unversioned := given.keys() - versions.keys():
        check_channels(unversioned)
    own_version = f"{OWN_VERSION}{key.checkpoint_id}"
    versions.update(dict.fromkeys(own_versions, own_version))
    for channel, value in given.items():
        is_unversioned = channel not in versions
        if is_unversioned:
            versions |= checked_versions(key, {channel: own_version})
            channels.unversioned.append(channel)
        if is_scalar(value):
            channels.scalars[channel] = [versions[channel], value]
        elif is_unversioned or channel in stored_now:
            channels.changed.append(channel)
        else:
            channels.carried.append(channel)
    return channels


def is_scalar(value: Any) -> bool:
    """Whether a value is stored in the body: there it takes less space than a row of its own, even repeated in every checkpoint."""
    kind = type(value)
    if kind is str:
        return len(value) <= _MAX_SCALAR_LENGTH and value.isascii()
    # A number beyond 64 bits is left to the serialiser, which rejects it with the name of its channel.
    return value is None or kind is bool or kind is float or (kind is int and -(2**63) <= value < 2**63)


def _body(checkpoint: Checkpoint, channels: _Channels, own_versions: Collection[str]) -> dict[str, Any]:
    """The parts of a checkpoint that are serialised together."""
    body: dict[str, Any] = {name: part for name, part in checkpoint.items() if name not in _NOT_IN_BODY}
    if channels.scalars:
        body[SCALARS] = channels.scalars
    if channels.unversioned:
        body["unversioned"] = channels.unversioned
    if own_versions or not set(map(type, checkpoint.get("channel_versions", {}).values())) <= {str}:
        # The column stores versions as text; those of other types are stored here with their types.
        body["channel_versions"] = dict(checkpoint["channel_versions"])
    return body
