"""Stores a batch on a distributed PostgreSQL: the writes of each thread in a transaction of their own, on the one node that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit_postgres import LOCK_NOT_AVAILABLE
from ckptstore.writes.locked_threads import ThreadLocked
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import thread_rows


def commit(db: Db, batch: Sequence[EncodedWrite], lock_seconds: float) -> Sequence[MissingParts | None]:
    """Make a batch durable, see `commit.commit_batch`.

    Raises:
        ThreadLocked: a thread is locked by another transaction.
    """
    threads: dict[str, dict[int, EncodedWrite]] = {}
    for number, write in enumerate(batch):
        threads.setdefault(write.record.key.thread_id, {})[number] = write
    missing: dict[int, MissingParts] = {}
    try:
        for thread_id, writes in threads.items():
            # Whoever waits for longer waits alone, and as long as its attempt may take.
            missing |= _store(db, thread_id, writes, wait=lock_seconds > LOCK_SECONDS)
    except Exception as exc:
        if sqlstate_of(exc) == LOCK_NOT_AVAILABLE:
            raise ThreadLocked(f"the thread of one of {len(batch)} writes is locked by another transaction") from exc
        raise
    return [missing.get(number) for number in range(len(batch))]


def _store(db: Db, thread_id: str, writes: Mapping[int, EncodedWrite], *, wait: bool) -> dict[int, MissingParts]:
    with db.transaction():
        if not wait:
            db.run(sql.threads.lock_free_thread, {"thread_id": thread_id})
        # Locks the thread's row before any other row of the thread is read.
        db.insert(sql.tables.THREAD, "add_up", thread_rows(writes.values(), not_new={write.record.key for write in writes.values()}))
        missing = store_writes(db, writes)
        if missing:
            db.run(sql.threads.delete_empty_thread, {"thread_id": thread_id})
    return missing
