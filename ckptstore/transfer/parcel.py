"""What a transfer passes from its source to its target: threads, and parcels of whole threads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Table

from ckptstore.db.sql.tables import Row
from ckptstore.errors import (
    BlobCorrupt,
    BlobMissing,
    CheckpointCorrupt,
    CheckpointTooLarge,
    InvalidConfig,
    NotEncrypted,
    SerializationFailed,
)
from ckptstore.records import CheckpointKey
from ckptstore.tags.filters import Filter
from ckptstore.transfer.spool import Spool

# Threads are stored together up to so many checkpoints and bytes.
_CHECKPOINTS_PER_PARCEL = 1_000
_BYTES_PER_PARCEL = 8 * 1024 * 1024
_THREADS_PER_PARCEL = 200
# From which a sample is taken.
_MAX_VISIBLE = 1_000

#: Faults of one thread; the others are transferred.
THREAD_FAULTS = (BlobCorrupt, BlobMissing, CheckpointCorrupt, CheckpointTooLarge, InvalidConfig, NotEncrypted, SerializationFailed)

#: Tells whether a thread has changed: numbers and texts that are compared, and stored as JSON.
Stamp = list[Any]


class SourceThread(NamedTuple):
    """A thread of the source."""

    thread_id: str
    stamp: Stamp
    #: When it was last written to, to the second (microseconds since 1970, UTC).
    updated_at: int
    #: About how many checkpoints, and bytes of values, it has.
    checkpoints: int
    bytes: int


class ThreadTimes(NamedTuple):
    """When a thread was first and last written to, in microseconds since 1970, UTC."""

    created_at: int
    updated_at: int


class Choice(NamedTuple):
    """Which threads, and what of each, are transferred."""

    #: None for all threads.
    thread_ids: Sequence[str] | None = None
    #: Only threads with a checkpoint whose metadata matches.
    wanted: Filter | None = None
    #: Only threads that were written to at or after this time (microseconds since 1970, UTC).
    since: int | None = None
    #: Only so many of the newest checkpoints of each thread and namespace, and what they are rebuilt from. None for all.
    newest: int | None = None


class TargetThread(NamedTuple):
    """A thread of the target as it was before, which is brought up to date."""

    #: `(generation, checkpoint_count, size, updated_at)` of its row.
    stamp: Stamp
    #: `row_hash` of each of its rows, apart from segments, and of its segments.
    hashes: frozenset[int]
    segments: frozenset[int]
    #: Whether rows that the source does not have any more are deleted.
    mirror: bool


@dataclass(slots=True)
class Parcel:
    """Whole threads, which one transaction stores at the target. `close` its spool."""

    threads: Sequence[SourceThread]
    spool: Spool = field(default_factory=Spool)
    times: dict[str, ThreadTimes] = field(default_factory=dict)
    #: By thread: its visible checkpoints in the spool, and their sizes together.
    counters: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: The visible checkpoints in the spool.
    visible: list[CheckpointKey] = field(default_factory=list)
    #: Rows of objects that the target shares with the source from now on.
    objects: list[Row] = field(default_factory=list)
    #: Objects that the rows refer to, and that must be live at the target.
    object_keys: set[str] = field(default_factory=set)
    #: `row_hash` of every row of the source that is at the target afterwards.
    expected: set[int] = field(default_factory=set)
    #: The thread as it was at the target; None if all threads of the parcel are new there.
    existing: TargetThread | None = None
    #: If the thread exists at the target: `row_hash` of every row of the source, also of those that are not chosen.
    seen: set[int] = field(default_factory=set)
    #: Rows in the spool, by table.
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    def add(self, table: Table, row: Row, payload_bytes: int) -> None:
        """Add a row to the spool."""
        self.spool.add(table.name, row, payload_bytes)
        self.rows[table.name] = self.rows.get(table.name, 0) + 1
        self.bytes += payload_bytes

    def count(self, key: CheckpointKey, size: int) -> None:
        """Count a visible checkpoint of so many bytes."""
        count, total = self.counters.get(key.thread_id, (0, 0))
        self.counters[key.thread_id] = (count + 1, total + size)
        if len(self.visible) < _MAX_VISIBLE:
            self.visible.append(key)


class ThreadSource(Protocol):
    """Where threads come from."""

    #: Its origin, see `remembered.origin_of`.
    origin: str

    def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """The chosen threads in the order of their ids, some at a time."""
        ...

    async def parcel(self, threads: Sequence[SourceThread], existing: TargetThread | None) -> Parcel:
        """Read whole threads, in one snapshot, and check what is read.

        Args:
            threads: several, all of them new at the target, or one.
            existing: the thread as it is at the target, if it is there.

        Raises:
            ThreadGone: a thread does not exist any more.
        """
        ...


class ThreadGone(Exception):
    """A thread was deleted at the source while it was transferred."""


def stamp_of(row: Mapping[str, Any]) -> Stamp:
    """The stamp of the row of a thread in one of our stores."""
    return [row[name] for name in ("generation", "checkpoint_count", "size", "updated_at")]


def is_full(threads: Sequence[SourceThread]) -> bool:
    """Whether these are more than one parcel takes."""
    return (
        len(threads) > _THREADS_PER_PARCEL
        or sum(thread.checkpoints for thread in threads) > _CHECKPOINTS_PER_PARCEL
        or sum(thread.bytes for thread in threads) > _BYTES_PER_PARCEL
    )
