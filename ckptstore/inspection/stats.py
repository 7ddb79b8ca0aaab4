"""What a store holds, how much space it takes and why, how it grows: in one snapshot, and without reading everything.

Threads and checkpoints are counted by the rows of threads. Tables are measured by the database's catalogue. How values are shared and
compressed is measured on a sample of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.url import is_memory
from ckptstore.errors import TagKeysChanged
from ckptstore.inspection.sample import Sample, read_sample
from ckptstore.inspection.table_sizes import TableSizes, table_sizes
from ckptstore.maintenance.reindex import stored_keys
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store

# If a window of days has more checkpoints, their bytes are not read.
_MAX_CHECKPOINTS_WITH_BYTES = 100_000
_EPOCH = date(1970, 1, 1)


class StatsRequest(NamedTuple):
    """How much is looked at."""

    #: The current time (microseconds since 1970, UTC).
    now: int
    #: Days of growth, today included.
    days: int = 14
    #: How many of the largest threads and channels.
    largest: int = 10
    #: Whether everything may be read: every page of a large SQLite file, every thread.
    full: bool = False


class ObjectState(NamedTuple):
    """The objects in one state."""

    state: str
    objects: int
    bytes: int


class LargeThread(NamedTuple):
    """A thread and its size."""

    thread_id: str
    checkpoints: int
    bytes: int


class Day(NamedTuple):
    """What came on a day, in UTC."""

    day: date
    #: Pruned ones that are hidden count too.
    checkpoints: int
    #: Serialised bytes that they added.
    bytes: int


class TagIndex(NamedTuple):
    """Which metadata keys are in the index."""

    include: Sequence[str]
    exclude: Sequence[str]
    #: Whether a rebuild has begun and not ended: savers refuse to start.
    is_rebuilding: bool


class StoreStats(NamedTuple):
    """What a store holds."""

    threads: int
    checkpoints: int
    #: Serialised bytes that the checkpoints added, before anything was shared or compressed.
    serialised_bytes: int
    sizes: TableSizes
    tags: TagIndex
    objects: Sequence[ObjectState]
    largest_threads: Sequence[LargeThread]
    #: None in a store without threads.
    sample: Sample | None
    growth: Sequence[Day]
    #: Whether the bytes of `growth` are counts times the mean size.
    growth_is_estimated: bool


def store_stats(store: Store, request: StatsRequest) -> Steps[StoreStats]:
    """Measure a store in one snapshot."""
    return store.read(partial(_stats, request=request, in_memory=is_memory(store.runner.url)))


def _stats(db: Db, request: StatsRequest, in_memory: bool) -> StoreStats:
    db.expect_long()
    with db.snapshot():
        threads, checkpoints, serialised = db.run(sql.stats.totals).found[0]
        growth, estimated = _growth(db, request, serialised / checkpoints if checkpoints else 0)
        return StoreStats(
            threads=threads,
            checkpoints=checkpoints,
            serialised_bytes=serialised,
            sizes=table_sizes(db, full=request.full or in_memory),
            tags=_tag_index(db),
            objects=[ObjectState(*row) for row in db.run(sql.stats.object_states)],
            largest_threads=[LargeThread(*row) for row in db.run(sql.stats.largest_threads, {"page_size": request.largest})],
            sample=read_sample(db, threads, request.largest, full=request.full) if threads else None,
            growth=growth,
            growth_is_estimated=estimated,
        )


def _tag_index(db: Db) -> TagIndex:
    try:
        keys = stored_keys(db)
    except TagKeysChanged:
        return TagIndex((), (), is_rebuilding=True)
    return TagIndex(("*",), (), False) if keys is None else TagIndex(tuple(keys.include), tuple(keys.exclude), False)


def _growth(db: Db, request: StatsRequest, mean_bytes: float) -> tuple[list[Day], bool]:
    """The days from the first one of the request on, those without a checkpoint too."""
    today = datetime.fromtimestamp(request.now / 1_000_000, UTC).date()
    first = today - timedelta(days=request.days - 1)
    since = {"since": (first - _EPOCH).days * 24 * 60 * 60 * 1_000_000}
    counts: dict[int, Any] = dict(map(tuple, db.run(sql.stats.checkpoints_by_day, since)))
    estimated = sum(counts.values()) > _MAX_CHECKPOINTS_WITH_BYTES
    if estimated:
        found = {number: (count, round(count * mean_bytes)) for number, count in counts.items()}
    else:
        found = {number: (count, size) for number, count, size in db.run(sql.stats.bytes_by_day, since)}
    numbers = {(first + timedelta(days=n) - _EPOCH).days for n in range(request.days)} | found.keys()
    return [Day(_EPOCH + timedelta(days=number), *found.get(number, (0, 0))) for number in sorted(numbers)], estimated
