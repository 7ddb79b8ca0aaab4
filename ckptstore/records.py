"""What crosses the layers: frozen, serialised, without a trace of LangGraph or of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

#: How a value is put together: a text names a segment by its digest, a number takes so many bytes from the row's own
#: literal bytes; after a None come the digests of blobs that the value only refers to. A negative number comes first: the
#: literal bytes are compressed, and as many when they are not.
Layout = Sequence[str | int | None]


class Value(NamedTuple):
    """A serialised value on its way in: the serialiser's type tag, and its bytes."""

    type: str
    data: bytes
    #: Offsets at which large binary leaves start and end.
    leaf_offsets: Sequence[int] = ()
    #: Digests (hexadecimal) of the blobs whose handles the value holds.
    blob_digests: Sequence[str] = ()


class SerialisedValue(Protocol):
    """A serialised value on its way out."""

    @property
    def type(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class LoadedSegment(NamedTuple):
    """A part of a value as it was stored: its bytes, or the object that holds them."""

    digest: str
    object_key: str | None
    #: Bytes before encoding.
    size: int
    #: `raw`, `zstd`, `zstd-messages` (with the dictionary of that name), or `list` for one that names segments.
    encoding: str
    data: bytes | None


class NewSegment(NamedTuple):
    """A part of a value on its way in: its bytes, or the object that holds them."""

    digest: str
    #: Bytes before encoding.
    size: int
    #: `raw`, `zstd`, `zstd-messages` (with the dictionary of that name), or `list` for one that names segments.
    encoding: str
    data: bytes | None
    object_key: str | None


class CheckpointKey(NamedTuple):
    """The name of one checkpoint."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str


class Posting(NamedTuple):
    """One entry of the tag index: a key path and a typed value, both encoded by `ckptstore.tags.encoding`."""

    key: str
    value: str


@dataclass(frozen=True, eq=False, kw_only=True)
class StateFormat:
    """What the layers below the adapter must know of its checkpoints: the adapter implements it, and gives it to the store.

    `ckptstore.langgraph.format` has the only one, and explains where LangGraph defines each of these.
    """

    #: The channel whose writes are the tasks (`Send`s) that a checkpoint starts with.
    tasks_channel: str
    #: Checkpoints of an earlier format keep these tasks as writes of their parent.
    first_format_with_own_tasks: int
    #: The metadata key that is in every checkpoint and mostly empty: an empty value of it is not indexed.
    unindexed_when_empty: str
    #: From a checkpoint's metadata (JSON), the channels whose values are rebuilt from the writes of its ancestors.
    delta_channels: Callable[[str], frozenset[str]]
    #: From the metadata (JSON) of a subgraph's checkpoint, the id of the root graph's checkpoint that it ran under, if any.
    root_checkpoint_id: Callable[[str], str | None]
    #: From a namespace, whether its subgraph runs within one task of its parent, and so has no state of its own between runs.
    is_task_namespace: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread at a glance."""

    thread_id: str
    #: When something was first stored in it, in UTC.
    created_at: datetime
    #: When something was last stored in it, in UTC, noted at most once a second.
    updated_at: datetime
    #: How many checkpoints a reader finds.
    checkpoints: int
    #: Serialised bytes that these checkpoints added: their bodies and the values that changed, before deduplication and compression.
    size: int


class NewCheckpoint(NamedTuple):
    """A checkpoint on its way in."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    body: Value
    #: JSON: channel -> version, all text, or null where the body has the value, and the version.
    channel_versions: str
    #: JSON.
    metadata: str
    #: (channel, version, value) of what changed.
    values: Sequence[tuple[str, str, Value]]
    #: (channel, version) of what did not change, so must be stored already.
    carried: Sequence[tuple[str, str]]
    postings: frozenset[Posting]
    #: Bytes that this checkpoint adds: its body and the values that changed.
    size: int


class NewWrite(NamedTuple):
    """One write of a task on its way in."""

    idx: int
    channel: str
    value: Value


class NewWrites(NamedTuple):
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


#: What one put, or one task's writes, stores.
WriteRecord = NewCheckpoint | NewWrites


@dataclass(slots=True)
class LoadedWrite:
    """One write of a task as it was stored."""

    task_path: str
    task_id: str
    idx: int
    channel: str
    value: SerialisedValue


@dataclass(slots=True)
class LoadedCheckpoint:
    """A checkpoint as it was stored, whole."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    format: int
    body: SerialisedValue
    #: None for a version that the body has, with the value.
    channel_versions: Mapping[str, str | None]
    #: JSON.
    metadata: str
    #: channel -> value, for every channel that has one.
    values: dict[str, SerialisedValue] = field(default_factory=dict)
    #: Ordered by (task_path, task_id, idx).
    writes: list[LoadedWrite] = field(default_factory=list)
    #: For formats whose tasks are writes of the parent (see `StateFormat`): these writes, in the same order.
    parent_sends: list[LoadedWrite] = field(default_factory=list)

    @property
    def all_values(self) -> Iterator[SerialisedValue]:
        """Every value of it."""
        yield from self.values.values()
        for write in (*self.writes, *self.parent_sends):
            yield write.value


@dataclass(frozen=True, slots=True)
class ChannelHistory:
    """What one channel was given along the way to a checkpoint."""

    #: Oldest first.
    writes: Sequence[LoadedWrite]
    #: The stored value at the nearest ancestor that has one, unless it is in that ancestor's body.
    seed: SerialisedValue | None
    #: That body.
    body: SerialisedValue | None = None
