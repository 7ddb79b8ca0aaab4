"""What a store counts. Operations add to these attributes, from any worker thread and without a lock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from ckptstore.monitoring.histogram import new_counts, new_size_counts


@dataclass(slots=True, eq=False)
class Counters:
    """Since the store was opened: durations as histograms, see `histogram`, and numbers."""

    #: As their callers saw them: from the call until the write is durable, or the checkpoint read.
    put: list[int] = field(default_factory=new_counts)
    put_writes: list[int] = field(default_factory=new_counts)
    get: list[int] = field(default_factory=new_counts)
    #: One measurement for each page of a listing of checkpoints.
    list_page: list[int] = field(default_factory=new_counts)
    #: One measurement for each batch: from its statement to its durability.
    commit: list[int] = field(default_factory=new_counts)
    #: One measurement for each object that was stored in the blob backend, or read from it.
    upload: list[int] = field(default_factory=new_counts)
    download: list[int] = field(default_factory=new_counts)
    #: One measurement for each run.
    prune: list[int] = field(default_factory=new_counts)
    collect: list[int] = field(default_factory=new_counts)
    transfer: list[int] = field(default_factory=new_counts)
    erase: list[int] = field(default_factory=new_counts)
    #: One measurement for each thread.
    delete_thread: list[int] = field(default_factory=new_counts)
    #: Writes of each batch.
    batch_sizes: list[int] = field(default_factory=new_size_counts)
    #: Puts and tasks' writes that are durable.
    writes: int = 0
    bytes_written: int = 0
    bytes_uploaded: int = 0
    bytes_downloaded: int = 0
    #: Segments and objects that were in a cache, or not.
    cache_hits: int = 0
    cache_misses: int = 0
    #: Attempts that were repeated after a transient fault.
    retries: int = 0
    blob_retries: int = 0
    #: How often the wait for the lock of SQLite's file was measured, and how long it was altogether.
    lock_samples: int = 0
    lock_microseconds: int = 0
    #: Operations that failed, by the class of the exception.
    errors: Counter[str] = field(default_factory=Counter)
    #: Filters, by each path of the tag index that they needed.
    searched: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Counters:
        """A copy that stays as it is."""
        copied: list[Any] = [value if isinstance(value, int) else value.copy() for value in _values(self)]
        return Counters(*copied)

    def since(self, earlier: Counters) -> Counters:
        """What was counted since a copy was made."""
        return Counters(*map(_difference, _values(self), _values(earlier)))

    def reset(self) -> None:
        """Begin again, in the lists that others add to."""
        zero = Counters()
        for name in _NAMES:
            current = getattr(self, name)
            if isinstance(current, int):
                setattr(self, name, 0)
            elif isinstance(current, Counter):
                current.clear()
            else:
                current[:] = getattr(zero, name)


_NAMES = tuple(each.name for each in fields(Counters))
#: All of them, in the order of the constructor.
_values: Callable[[Counters], tuple[Any, ...]] = attrgetter(*_NAMES)


def _difference(now: Any, earlier: Any) -> Any:
    if isinstance(now, int):
        return now - earlier
    if isinstance(now, Counter):
        return now - earlier
    return [count - before for count, before in zip(now, earlier, strict=True)]
