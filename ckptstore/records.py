"""Records that several layers pass to each other: serialised values, without types of LangGraph or of a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

#: How a value is assembled: a text is the digest of a segment, a number takes that many bytes from the row's own literal bytes. The
#: texts after a None are digests of blobs that the value only refers to. If the first entry is a negative number, the literal bytes
#: are compressed, and its absolute value is their uncompressed size.
Layout = Sequence[str | int | None]


class Value(NamedTuple):
    """A serialised value to store: the serialiser's type tag, and its bytes."""

    type: str
    data: bytes
    #: Offsets in `data` at which large binary leaves start and end: start, end, start, end, ...
    leaf_offsets: Sequence[int] = ()
    #: Digests (hexadecimal) of the blobs whose handles the value holds.
    blob_digests: Sequence[str] = ()


class SerialisedValue(Protocol):
    """A serialised value that was loaded."""

    @property
    def type(self) -> str: ...
    @property
    def data(self) -> bytes: ...


class LoadedSegment(NamedTuple):
    """A stored segment of a value: its bytes, or the key of the object that holds them."""

    digest: str
    object_key: str | None
    #: Bytes before compression.
    size: int
    #: `raw`, `zstd`, `zstd-messages` (with the dictionary of that name), or `list` for a segment that names segments.
    encoding: str
    data: bytes | None


class NewSegment(NamedTuple):
    """A part of a value to store: its bytes, or the object that holds them."""

    digest: str
    #: Bytes before compression.
    size: int
    #: `raw`, `zstd`, `zstd-messages` (with the dictionary of that name), or `list` for a segment that names segments.
    encoding: str
    data: bytes | None
    object_key: str | None


class CheckpointKey(NamedTuple):
    """The primary key of a checkpoint."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str


class Posting(NamedTuple):
    """One entry of the tag index: a key path and a typed value, both encoded by `ckptstore.tags.encoding`."""

    key: str
    value: str


@dataclass(frozen=True, eq=False, kw_only=True)
class StateFormat:
    """What the store must know about the meaning of the checkpoints in it. The adapter for LangGraph passes one to the store.

    `ckptstore.langgraph.format` has the only one, and explains where LangGraph defines each of these.
    """

    #: The channel of pending tasks (`Send`s).
    tasks_channel: str
    #: The first format whose checkpoints hold their pending tasks themselves; before, these are writes of the parent checkpoint.
    first_format_with_own_tasks: int
    #: A metadata key whose empty values are not indexed: every checkpoint has it, mostly empty.
    unindexed_when_empty: str
    #: Takes a checkpoint's metadata (JSON); returns the channels whose values are rebuilt from the writes of its ancestors.
    delta_channels: Callable[[str], frozenset[str]]
    #: Takes the metadata (JSON) of a subgraph's checkpoint; returns the id of the root graph's checkpoint that it ran under, if any.
    root_checkpoint_id: Callable[[str], str | None]
    #: Takes a namespace; returns True if its subgraph runs within one task and so keeps no state between runs of the root graph.
    is_task_namespace: Callable[[str], bool]
    #: Metadata keys that every checkpoint has without a caller's doing: that no filter asks for them means nothing.
    own_keys: frozenset[str]
    #: The metadata key under which a server of LangGraph's names the thread of a checkpoint: a copy names its own.
    thread_key: str
    #: By dialect, the tables of a saver that is not ours and whose threads can be imported.
    other_savers_tables: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class ThreadInfo:
    """A thread's times, number of checkpoints and size."""

    thread_id: str
    #: When something was first stored in it, in UTC.
    created_at: datetime
    #: When something was last stored in it, in UTC; updated at most once a second.
    updated_at: datetime
    #: How many checkpoints it has, without hidden ones.
    checkpoints: int
    #: Serialised bytes that these checkpoints added: their bodies and the values that changed, before deduplication and compression.
    size: int


class NewCheckpoint(NamedTuple):
    """A checkpoint to store."""

    key: CheckpointKey
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    body: Value
    #: JSON: channel -> version, as text; null if the body has the version and the value.
    channel_versions: str
    #: JSON.
    metadata: str
    #: (channel, version, value) of the channels that changed.
    values: Sequence[tuple[str, str, Value]]
    #: (channel, version) of the channels that did not change: their values must be stored already.
    carried: Sequence[tuple[str, str]]
    postings: frozenset[Posting]
    #: Bytes of the body and of the values that changed.
    size: int


class NewWrite(NamedTuple):
    """One write of a task, to store."""

    idx: int
    channel: str
    value: Value


class NewWrites(NamedTuple):
    """The writes of one task, to store."""

    key: CheckpointKey
    task_id: str
    task_path: str
    #: Microseconds since 1970, UTC.
    created_at: int
    writes: Sequence[NewWrite]
    #: True if they replace earlier writes with the same index; False if the earlier ones are kept.
    replace: bool

    @property
    def size(self) -> int:
        """Bytes of the serialised values."""
        return sum([len(write.value.data) for write in self.writes])


#: What one write attempt stores.
WriteRecord = NewCheckpoint | NewWrites


@dataclass(slots=True)
class LoadedWrite:
    """One stored write of a task."""

    task_path: str
    task_id: str
    idx: int
    channel: str
    value: SerialisedValue


@dataclass(slots=True)
class LoadedCheckpoint:
    """A whole checkpoint as it was stored."""

    key: CheckpointKey
    #: None also if the parent was deleted or hidden, or has not arrived: no read finds it.
    parent_checkpoint_id: str | None
    format: int
    body: SerialisedValue
    #: channel -> version; None if the body has the version and the value.
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
        """All its values: body excluded, writes included."""
        yield from self.values.values()
        for write in (*self.writes, *self.parent_sends):
            yield write.value


@dataclass(frozen=True, slots=True)
class ChannelHistory:
    """The writes to one channel at the ancestors of a checkpoint, back to the nearest stored value."""

    #: Oldest first.
    writes: Sequence[LoadedWrite]
    #: The stored value at the nearest ancestor that has one; None if it is in that ancestor's body.
    seed: SerialisedValue | None
    #: The body that holds the seed, if one does.
    body: SerialisedValue | None = None
