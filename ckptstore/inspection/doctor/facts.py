"""What the doctor goes by: numbers that were read from a store, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ckptstore.db.cluster import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadFacts:
    """The recorded load of all savers. Of shares and latencies, the value that 19 of 20 minutes do not exceed."""

    #: Rows, and the days from the first one to now.
    minutes: int
    days: float
    processes: int
    #: In the busiest minute, of all processes together.
    peak_writes_per_second: float
    commit_p99_seconds: float | None
    #: None where it was not measured, and on PostgreSQL.
    lock_wait_share: float | None
    queue_depth: int
    writes: int
    errors: int
    #: Part of the minutes at whose end every connection of the pool was in use.
    pool_full_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFacts:
    """A table of PostgreSQL with its partitions, as its statistics have it."""

    name: str
    bytes: int
    live_rows: int
    dead_rows: int
    #: Rows that came, changed or went since the last ANALYZE.
    changed_rows: int
    #: Whether there ever was one.
    is_analysed: bool
    partitions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WalFacts:
    """The write-ahead log of a SQLite file."""

    bytes: int
    #: Of pages that could not be moved into the file, because a reader still needs what was there before.
    pinned_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionFacts:
    """Whether old checkpoints are deleted."""

    #: Hours since the last run that a saver made in the background; None if there never was one.
    hours_since_run: float | None
    #: What the given policy would delete now; None without a policy.
    overdue_checkpoints: int | None
    checkpoints: int
    #: That came, per day, in the last week.
    checkpoints_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsearchedKey:
    """A metadata key in the tag index that no filter needed."""

    key: str
    #: Part of the tags of the newest checkpoints.
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A store, at one time."""

    on_sqlite: bool
    bytes: int
    #: Of pages that hold nothing; None on PostgreSQL.
    free_bytes: int | None
    wal: WalFacts | None
    #: None where none was recorded.
    load: LoadFacts | None
    #: Writes per second that this machine stored in a test; None without a test.
    ceiling: float | None
    tables: Sequence[TableFacts]
    #: The statements that create them.
    missing_indexes: Sequence[str]
    #: The names of those that were built without success.
    invalid_indexes: Sequence[str]
    retention: RetentionFacts
    unsearched: Sequence[UnsearchedKey]
    #: None where the tables are not distributed.
    cluster: Cluster | None = None
