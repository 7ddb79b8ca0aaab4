"""What `saver.stats()` and `saver.health()` return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """How long the operations of one kind took that succeeded; quantiles are exact to a tenth."""

    count: int
    #: None if there were none.
    p50_seconds: float | None
    p99_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSizes:
    """How many writes the batches had."""

    #: None if there were no batches.
    mean: float | None
    p50: int | None
    p99: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodStats:
    """What a saver did in a period."""

    #: How long the period is.
    seconds: float
    #: From the call until the write is durable.
    put: Latency
    put_writes: Latency
    #: From the call until the checkpoint is deserialised.
    get: Latency
    #: One measurement for each page of a listing: up to 100 checkpoints.
    list: Latency
    #: One measurement for each batch that was stored in the database; their number is that of commits.
    commit: Latency
    #: One measurement for each object that was stored in the blob backend, or read from it.
    upload: Latency
    download: Latency
    batch_sizes: BatchSizes
    #: Puts and tasks' writes that were stored.
    writes: int
    #: Of values, bodies and metadata, as they were stored in the database: compressed, and without what a thread had already.
    bytes_written: int
    bytes_uploaded: int
    bytes_downloaded: int
    #: Parts of values that were in a cache in memory or in the cache folder, and those that were not.
    cache_hits: int
    cache_misses: int
    #: Attempts that were repeated after a transient fault of the database, and of the blob backend.
    retries: int
    blob_retries: int
    #: Operations that failed, by the class of the exception: `{"DatabaseUnavailable": 2}`. Operations that were cancelled are not counted.
    errors: Mapping[str, int]
    #: Part of the time in which commits waited for the lock of SQLite's file, from a sample of one a second; None where none was taken:
    #: on PostgreSQL, and in the first second.
    lock_wait_share: float | None
    #: Filters by the metadata keys that they needed, slashes before nested ones: `{"user_id": 12, "request/locale": 1}`.
    searched: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStats:
    """What a saver with a `read_url` reads from the replica, since it was built."""

    #: Reads that the replica answered, and those for which the primary was read instead.
    reads: int
    fallbacks: int
    #: How old what the replica shows was when that was last measured: every 10 seconds while it is read. None before, and where neither
    #: side says.
    lag_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaverStats:
    """The state of a saver in this process, and what it did: since it was built, and in the last minute."""

    #: Writes that wait for the database, or for room in the queue.
    queue_depth: int
    #: Writes that are being stored.
    in_flight: int
    #: Bytes that the writes in the queue occupy in memory.
    queued_bytes: int
    #: Connections to the database that are used just now, that are open and idle, and how many there may be.
    connections_in_use: int
    connections_idle: int
    connections_limit: int
    #: None without a `read_url`.
    replica: ReplicaStats | None = None
    since_start: PeriodStats
    last_minute: PeriodStats

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """The outcome of one check."""

    #: `schema`, `write` or `blobs`.
    name: str
    ok: bool
    #: What was found, or why it failed; without secrets.
    message: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthReport:
    """Whether a saver can be used now."""

    ok: bool
    checks: Sequence[HealthCheck]
    seconds: float

    def __bool__(self) -> bool:
        """Whether every check passed."""
        return self.ok

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)
