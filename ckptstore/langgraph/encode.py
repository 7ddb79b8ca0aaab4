"""LangGraph's checkpoints and writes to records and back, through the saver's serialiser."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    Checkpoint,
    CheckpointMetadata,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from ckptstore.langgraph.config import check_channels
from ckptstore.langgraph.serialise import _is_no_warning_of_handles, serialise, with_references
from ckptstore.records import (
    CheckpointKey,
    NewCheckpoint,
    NewWrite,
    NewWrites,
)
from ckptstore.tags import encoding as tags
from ckptstore.tags.keys import TagKeys
from ckptstore.values.size_limits import SizeChecker, ThreadNs

# Kept in columns of their own, or put together again on load.
_NOT_IN_BODY = ("channel_values", "channel_versions", "id", "v")
# Where a body has what is too small for a row of its own: channel -> version and value.
_SCALARS = "scalars"
_LONGEST_SCALAR = 32
# No version begins like this: they are counters.
_OWN_VERSION = "="
# Made once: `json.dumps` would make one for each call.
_to_json = json.JSONEncoder(separators=(",", ":")).encode


# Where it lets everything through, LangGraph warns that types it does not know will be blocked one day. Handles will not be.
logging.getLogger("langgraph.checkpoint.serde.jsonplus").addFilter(_is_no_warning_of_handles)


class NewCheckpointKey(NamedTuple):
    """Where a checkpoint belongs, and when it came."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int


class Encoder:
    """Makes records of checkpoints and writes.

    Args:
        serde: the saver's serialiser.
        tag_keys: which keys of metadata become tags.
        limiter: refuses what is too large, as soon as its size is known.
    """

    def __init__(self, serde: SerializerProtocol, tag_keys: TagKeys, limiter: SizeChecker) -> None:
        self._serde = serde
        self._tag_keys = tag_keys
        self._limiter = limiter

    def checkpoint(
        self,
        config: RunnableConfig,
        place: NewCheckpointKey,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        stored_now: Collection[str],
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
        self._limiter.check_checkpoint(
            ThreadNs(key.thread_id, key.checkpoint_ns),
            changed,
            carried,
            versions,
            lambda channel: serialise(self._serde, given[channel], channel),
            other_bytes=len(body.data) + len(metadata_json.encode()),
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
            postings=tags.postings(tags.as_json_values(merged, metadata_json), self._tag_keys),
        )

    def writes(self, key: CheckpointKey, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str, created_at: int) -> NewWrites:
        """A task's writes as a record. Only a batch of nothing but special channels replaces what is there.

        Raises:
            SerializationFailed: a value can't be serialised.
            CheckpointTooLarge: together they are past a limit.
        """
        check_channels(channel for channel, _ in writes)
        serialised = [(channel, serialise(self._serde, value, channel)) for channel, value in writes]
        self._limiter.check_writes(key.thread_id, serialised)
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
