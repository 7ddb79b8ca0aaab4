"""The recorded load in a few numbers."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.inspection.doctor.facts import LoadFacts, UnsearchedKey
from ckptstore.records import StateFormat
from ckptstore.tags.encoding import postings, readable_path
from ckptstore.tags.keys import TagKeys

_DAY = 24 * 3600 * 1_000_000
#: The days that are looked at: for so long rows are kept.
LOAD_DAYS = 14
_MINUTE = 60 * 1_000_000
# The value that so many minutes do not exceed.
_MOST = 0.95
_CHECKPOINTS = 1_000


class _LoadRow(NamedTuple):
    """A row of `sql.load.rows_since`."""

    started_at: int
    process: str
    seconds: int
    writes: int
    commits: int
    bytes_written: int
    commit_p99: int | None
    lock_wait: int | None
    errors: int
    retries: int
    queue_depth: int
    connections_in_use: int
    connections_limit: int


def load_facts(db: Db, now: int) -> LoadFacts | None:
    """The load of the last 14 days (`now` in microseconds since 1970); None if there is none."""
    rows = [_LoadRow(*row) for row in db.run(sql.load.rows_since, {"since": now - LOAD_DAYS * _DAY})]
    if not rows:
        return None
    by_minute: dict[int, float] = defaultdict(float)
    for row in rows:
        by_minute[row.started_at // _MINUTE] += row.writes / max(1, row.seconds)
    waits = [row.lock_wait / (row.seconds * 1_000_000) for row in rows if row.lock_wait is not None and row.seconds]
    full = sum(0 < row.connections_limit <= row.connections_in_use for row in rows)
    p99 = _most([row.commit_p99 for row in rows if row.commit_p99 is not None])
    return LoadFacts(
        minutes=len(rows),
        days=(now - rows[0].started_at) / _DAY,
        processes=len({row.process for row in rows}),
        peak_writes_per_second=max(by_minute.values()),
        commit_p99_seconds=None if p99 is None else p99 / 1_000_000,
        lock_wait_share=_most(waits),
        queue_depth=round(_most([row.queue_depth for row in rows]) or 0),
        writes=sum(row.writes for row in rows),
        errors=sum(row.errors for row in rows),
        pool_full_share=full / len(rows),
    )


def _most(values: Sequence[float]) -> float | None:
    return sorted(values)[math.ceil(_MOST * len(values)) - 1] if values else None


def unsearched_keys(db: Db, now: int, tag_keys: TagKeys, state_format: StateFormat) -> list[UnsearchedKey]:
    """The top-level metadata keys of the newest checkpoints that no filter of the last 14 days needed, with their part of the tags."""
    searched: set[str] = set()
    for (text,) in db.run(sql.load.searched_since, {"since": now - LOAD_DAYS * _DAY}):
        searched.update(map(_top, json.loads(text)))
    found: Counter[str] = Counter()
    for (text,) in db.run(sql.stats.newest_metadata, {"page_size": _CHECKPOINTS}):
        found.update(_top(posting.key) for posting in postings(json.loads(text), tag_keys, state_format.unindexed_when_empty))
    unsearched = (key for key, _ in found.most_common() if key not in searched | state_format.own_keys)
    return [UnsearchedKey(key=key, share=found[key] / found.total()) for key in unsearched]


def _top(path: str) -> str:
    return readable_path(path.partition("/")[0])
