"""Stores a batch on a distributed PostgreSQL: the writes of each thread in a transaction of their own, on the one node that has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit_postgres import LOCK_NOT_AVAILABLE, NO_FUNCTION, ordinary_writes
from ckptstore.writes.function_parameters import FunctionParameters
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
            missing |= _store(db, thread_id, writes, lock_seconds)
    except Exception as exc:
        if sqlstate_of(exc) == LOCK_NOT_AVAILABLE:
            raise ThreadLocked(f"the thread of one of {len(batch)} writes is locked by another transaction") from exc
        raise
    return [missing.get(number) for number in range(len(batch))]


def _store(db: Db, thread_id: str, writes: Mapping[int, EncodedWrite], lock_seconds: float) -> dict[int, MissingParts]:
    """Store some writes of one thread; returns what is missing."""
    stored = _store_by_function(db, thread_id, ordinary_writes(writes, under_leases=False), lock_seconds)
    left = {number: write for number, write in writes.items() if number not in stored}
    # Whoever waits for longer waits alone, and as long as its attempt may take.
    return _store_in_transaction(db, thread_id, left, wait=lock_seconds > LOCK_SECONDS) if left else {}


def _store_by_function(db: Db, thread_id: str, writes: Mapping[int, EncodedWrite], lock_seconds: float) -> Set[int]:
    """Store what the function can, where there is one; returns the numbers of what it has stored."""
    schema = db.abilities.thread_function
    if schema is None or not writes:
        return frozenset()
    parameters = FunctionParameters(writes)
    named = {"for_thread": thread_id, **parameters.named(f"{round(lock_seconds * 1000)}ms")}
    try:
        left_out: str = db.run(sql.thread_function.commit_thread, named, schema).scalar_one()
    except Exception as exc:
        if sqlstate_of(exc) not in NO_FUNCTION:
            raise
        db.abilities.thread_function = None
        return frozenset()
    return parameters.stored(left_out)


def _store_in_transaction(db: Db, thread_id: str, writes: Mapping[int, EncodedWrite], *, wait: bool) -> dict[int, MissingParts]:
    with db.transaction():
        if not wait:
            db.run(sql.threads.lock_free_thread, {"thread_id": thread_id})
        # Locks the thread's row before any other row of the thread is read.
        db.insert(sql.tables.THREAD, "add_up", thread_rows(writes.values(), not_new={write.record.key for write in writes.values()}))
        missing = store_writes(db, writes)
        if missing:
            db.run(sql.threads.delete_empty_thread, {"thread_id": thread_id})
    return missing
