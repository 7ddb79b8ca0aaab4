"""Stores a batch on PostgreSQL: ordinary writes with one statement, each of the others in a transaction of its own (`replace`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.function_parameters import FunctionParameters
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import BatchRows, entry_rows, row_keys, thread_rows

# A batch waits no longer for the row of a thread that another transaction has locked: its other writes need not wait.
_LOCK_TIMEOUT = "100ms"
_LOCK_NOT_AVAILABLE = "55P03"


class ThreadLocked(Exception):
    """Another transaction holds the row of a thread. The queue then stores each write of the batch alone, so that the others don't wait."""


def commit(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable, see `commit.commit_batch`.

    Raises:
        ThreadLocked: a thread of several is locked by another transaction.
    """
    lock_timeout = _LOCK_TIMEOUT if len(batch) > 1 else None
    try:
        return _commit(db, batch, lock_timeout)
    except Exception as exc:
        if lock_timeout is not None and sqlstate_of(exc) == _LOCK_NOT_AVAILABLE:
            raise ThreadLocked(f"one of {len(batch)} threads is locked by another transaction") from exc
        raise


def _commit(db: Db, batch: Sequence[EncodedWrite], lock_timeout: str | None) -> Sequence[MissingParts | None]:
    ordinary = _ordinary(batch)
    done = _store_ordinary(db, ordinary, lock_timeout) if ordinary else _Done(set(), set())
    missing: dict[int, MissingParts] = {}
    for number, write in enumerate(batch):
        if number not in done.stored:
            missing |= _store_alone(db, number, write, lock_timeout, was_counted=number in done.miscounted)
    return [missing.get(number) for number in range(len(batch))]


def _ordinary(batch: Sequence[EncodedWrite]) -> dict[int, EncodedWrite]:
    """The writes that touch no object and no row that another one writes; later writes of a thread are left out with its first one."""
    left_out: set[str] = set()
    written: set[Row] = set()
    ordinary: dict[int, EncodedWrite] = {}
    for number, write in enumerate(batch):
        keys = row_keys(write)
        if write.touches_objects or write.record.key.thread_id in left_out or not written.isdisjoint(keys):
            left_out.add(write.record.key.thread_id)
        else:
            written.update(keys)
            ordinary[number] = write
    return ordinary


class _Done(NamedTuple):
    """The numbers of the writes that were stored, and of those that were not, although their threads' rows count them."""

    stored: Set[int]
    miscounted: Set[int]


def _store_ordinary(db: Db, writes: Mapping[int, EncodedWrite], lock_timeout: str | None) -> _Done:
    """Store what can be stored without replacing anything."""
    function_schema = db.statements.abilities.batch_function
    if function_schema is not None:
        parameters = FunctionParameters(writes)
        ((left_out,),) = db.run(sql.batch_function.commit_batch, parameters.named(lock_timeout), function_schema)
        if left_out is not None:
            return _Done(parameters.stored(left_out), set())
    return _store_in_one_statement(db, writes, lock_timeout)


def _store_in_one_statement(db: Db, writes: Mapping[int, EncodedWrite], lock_timeout: str | None) -> _Done:
    rows = BatchRows(writes.items())
    parameters = sql.batch_postgres.entry_parameters(entry_rows(writes.items()), lock_timeout)
    for part, some in rows.parts.items():
        parameters |= sql.batch_postgres.batch_parameters(part, some, rows.entry_nos[part])
    found = db.run(sql.batch_postgres.commit_batch, parameters, frozenset(rows.parts))
    stored = {number for (number,) in found}
    return _Done(stored, writes.keys() - stored)


def _store_alone(db: Db, number: int, write: EncodedWrite, lock_timeout: str | None, *, was_counted: bool) -> dict[int, MissingParts]:
    """Store one write in a transaction of its own.

    Args:
        db: of the database.
        number: the write's number in its batch.
        write: the write.
        lock_timeout: how long it waits for a lock; None for as long as the server lets it.
        was_counted: whether the statement for ordinary writes counted it in its thread's row.
    """
    key = write.record.key
    with db.transaction():
        if lock_timeout is not None:
            db.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'")
        # Locks the thread's row before any other row of the thread is read.
        db.insert(sql.tables.THREAD, "add_up", thread_rows([write], not_new={key}))
        missing = store_writes(db, {number: write})
        if was_counted:
            db.run(sql.threads.recount, {"thread_id": key.thread_id})
        if missing:
            db.run(sql.threads.delete_empty_thread, {"thread_id": key.thread_id})
    return missing
