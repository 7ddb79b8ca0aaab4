"""What crosses the layers: frozen, serialised, without a trace of LangGraph or of a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Value(NamedTuple):
    """A serialised value: the serialiser's type tag, and its bytes."""

    type: str
    data: bytes


class CheckpointKey(NamedTuple):
    """The name of one checkpoint."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str


class Posting(NamedTuple):
    """One entry of the tag index: a key path and a typed value, both encoded by `ckptstore.tags`."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class NewCheckpoint:
    """A checkpoint on its way in."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    body: Value
    #: JSON: channel -> version, all text.
    channel_versions: str
    #: JSON.
    metadata: str
    #: (channel, version, value) of what changed.
    values: Sequence[tuple[str, str, Value]]
    #: (channel, version) of what did not change, so must be stored already.
    carried: Sequence[tuple[str, str]]
    postings: frozenset[Posting]

    @property
    def size(self) -> int:
        """Bytes that this checkpoint adds: its body and the values that changed."""
        return len(self.body.data) + sum(len(value.data) for _, _, value in self.values)


@dataclass(frozen=True, slots=True)
class NewWrite:
    """One write of a task on its way in."""

    idx: int
    channel: str
    value: Value


@dataclass(frozen=True, slots=True)
class NewWrites:
    """The writes of one task on their way in."""

    key: CheckpointKey
    task_id: str
    task_path: str
    #: Microseconds since 1970, UTC.
    created_at: int
    writes: Sequence[NewWrite]
    #: Whether they replace earlier writes with the same index, or leave those alone.
    replace: bool

    @property
    def size(self) -> int:
        """Bytes of the serialised values."""
        return sum(len(write.value.data) for write in self.writes)


@dataclass(frozen=True, slots=True)
class LoadedWrite:
    """One write of a task as it was stored."""

    task_path: str
    task_id: str
    idx: int
    channel: str
    value: Value


@dataclass(slots=True)
class LoadedCheckpoint:
    """A checkpoint as it was stored, whole."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    format: int
    body: Value
    channel_versions: Mapping[str, str]
    #: JSON.
    metadata: str
    #: channel -> value, for every channel that has one.
    values: dict[str, Value] = field(default_factory=dict)
    #: Ordered by (task_path, task_id, idx).
    writes: list[LoadedWrite] = field(default_factory=list)
    #: For formats before 4: the parent's writes to LangGraph's tasks channel, in the same order.
    parent_sends: list[LoadedWrite] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ChannelHistory:
    """What one channel was given along the way to a checkpoint."""

    #: Oldest first.
    writes: Sequence[LoadedWrite]
    #: The stored value at the nearest ancestor that has one.
    seed: Value | None


@dataclass(frozen=True, slots=True)
class Removed:
    """What a deletion took away, in rows."""

    checkpoints: int = 0
    writes: int = 0
    channels: int = 0

    def __add__(self, other: Removed) -> Removed:
        """The sum, field by field."""
        return Removed(self.checkpoints + other.checkpoints, self.writes + other.writes, self.channels + other.channels)
