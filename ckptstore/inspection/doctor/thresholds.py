"""From where on the doctor says something. docs/doctor.md has the same numbers; a test compares them."""

from __future__ import annotations

from typing import NamedTuple

GB = 1024**3
MB = 1024**2


class Limits(NamedTuple):
    """From where on a value is worth a note, needs care, and is urgent. A limit that does not exist is infinite."""

    note: float = float("inf")
    care: float = float("inf")
    urgent: float = float("inf")


LOCK_WAIT_SHARE = Limits(0.1, 0.25, 0.5)
COMMIT_P99_SECONDS = Limits(0.05, 0.2, 1.0)
CEILING_SHARE = Limits(0.3, 0.5, 0.8)
QUEUE_DEPTH = Limits(100, 500, 1_500)
ERROR_SHARE = Limits(0.0001, 0.01, 0.1)
POOL_FULL_SHARE = Limits(0.01, 0.05, 0.5)
SQLITE_BYTES = Limits(20 * GB, 50 * GB, 200 * GB)
TABLE_BYTES = Limits(50 * GB, 100 * GB, 500 * GB)
SERVER_BYTES = Limits(500 * GB, 1_000 * GB, 4_000 * GB)
WAL_PINNED_BYTES = Limits(16 * MB, 64 * MB, 1 * GB)
FREE_SHARE = Limits(0.1, 0.25)
DEAD_SHARE = Limits(0.1, 0.2, 0.5)
CHANGED_SHARE = Limits(0.5, 1.0)
OVERDUE_DAYS = Limits(2, 3, 14)
HOURS_SINCE_RUN = Limits(36, 72)
UNSEARCHED_SHARE = Limits(0.05, 0.3)
SHARD_SKEW = Limits(2, 4)
HOT_THREAD_SHARE = Limits(0.5, 1, 4)

#: Fewer rows, bytes or days tell nothing.
LEAST_ROWS = 1_000
LEAST_FREE_BYTES = 16 * MB
LEAST_SEARCH_DAYS = 7
LEAST_CLUSTER_BYTES = 1 * GB
