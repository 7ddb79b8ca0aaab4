"""Stores a batch on PostgreSQL: ordinary writes with one statement, each of the others in a transaction of its own (`replace`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple, NoReturn

from ckptstore.db import sql
from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.db.statement import Statements
from ckptstore.db.statement_work import Call
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.function_parameters import FunctionParameters
from ckptstore.writes.locked_threads import ThreadLocked
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import BatchRows, entry_rows, row_keys, thread_rows

logger = logging.getLogger(__name__)

_LOCK_NOT_AVAILABLE = "55P03"
UNIQUE_VIOLATION = "23505"
# The schema was downgraded, or restored from a dump without functions, or renamed; or the right to call it was revoked.
NO_FUNCTION = ("42883", "42501", "3F000")


class ExplainedErrors:
    """What attempts to store a batch have in common: their errors name the batch."""

    _batch: Sequence[EncodedWrite]

    def explain(self, exc: Exception) -> Exception:
        """The error to raise in place of a statement's."""
        if sqlstate_of(exc) == _LOCK_NOT_AVAILABLE:
            return ThreadLocked(f"the thread of one of {len(self._batch)} writes is locked by another transaction")
        return exc

    def raise_explained(self, exc: Exception) -> NoReturn:
        """Raise `explain`'s error."""
        explained = self.explain(exc)
        if explained is exc:
            raise exc
        raise explained from exc


class BatchCommit(ExplainedErrors):
    """One attempt to store a batch: a call of the function, where there is one, and then what that leaves to do.

    Args:
        batch: the batch.
        lock_seconds: how long it waits for the row of a thread that another transaction has locked.
    """

    def __init__(self, batch: Sequence[EncodedWrite], lock_seconds: float) -> None:
        self._batch = batch
        self._lock_timeout = f"{round(lock_seconds * 1000)}ms"
        self._leases = sorted({(write.record.key.thread_id, write.fence) for write in batch if write.fence is not None})
        self._ordinary = ordinary_writes(dict(enumerate(batch)))
        self._parameters: FunctionParameters | None = None
        self._abilities: Abilities | None = None
        #: What was stored of the ordinary writes; None where they are to be stored by the statement.
        self._done = None if self._ordinary else _Done(set(), set())

    def statement(self, statements: Statements, abilities: Abilities) -> Call | None:
        """The call of the function that stores the ordinary writes; None if there are none, or no function."""
        schema = abilities.batch_function
        if self._leases and not abilities.held_function:
            self._leave_out_leases()
        if schema is None or not self._ordinary:
            return None
        self._parameters, self._abilities = FunctionParameters(self._ordinary), abilities
        parameters = self._parameters.named(self._lock_timeout)
        build = sql.batch_function.commit_batch
        if self._leases:
            build = sql.batch_function.commit_held_batch
            parameters["leases"] = sql.batch_function.array_literal([each for lease in self._leases for each in lease])
        statement = statements[build, schema]
        return Call(statement.text, statement.arguments(parameters))

    def _leave_out_leases(self) -> None:
        """Leave the writes under leases to transactions of their own."""
        self._leases = []
        self._ordinary = ordinary_writes(dict(enumerate(self._batch)), under_leases=False)
        if not self._ordinary:
            self._done = _Done(set(), set())

    def answered(self, rows: Sequence[Any]) -> bool:
        """Take the function's answer; returns whether it has stored everything."""
        assert self._parameters is not None
        ((left_out,),) = rows
        if left_out is not None:
            self._done = _Done(self._parameters.stored(left_out), set())
        return left_out == "" and len(self._ordinary) == len(self._batch)

    def finish(self, db: Db) -> Sequence[MissingParts | None]:
        """Store what is left."""
        try:
            return self._finish(db)
        except Exception as exc:
            return self.raise_explained(exc)

    def _finish(self, db: Db) -> Sequence[MissingParts | None]:
        if self._done is None and self._leases:
            # A statement with one snapshot would not see that another one has taken a lease.
            self._leave_out_leases()
        done = self._done or _store_in_one_statement(db, self._ordinary, self._lock_timeout)
        missing: dict[int, MissingParts] = {}
        for number, write in enumerate(self._batch):
            if number not in done.stored:
                missing |= _store_alone(db, number, write, self._lock_timeout, was_counted=number in done.miscounted)
        return [missing.get(number) for number in range(len(self._batch))]

    def recovers(self, exc: Exception) -> bool:
        """Whether `finish` stores the batch in spite of an error of the function.

        It does where a row existed that this batch did not insert, and where the function was dropped: from then on it is not called.
        """
        state = sqlstate_of(exc)
        if state in NO_FUNCTION and self._abilities is not None:
            # Under leases, it may be the other function that was dropped.
            self._abilities.take(None, None)
            reason = str(exc).partition("\n")[0]
            logger.warning("batches are stored by one statement from now on: %s", reason, extra={"event": "function_lost"})
            return True
        return state == UNIQUE_VIOLATION


def ordinary_writes(writes: Mapping[int, EncodedWrite], *, under_leases: bool = True) -> dict[int, EncodedWrite]:
    """The writes that touch no object and no row that another one writes; later writes of a thread are left out with its first one.

    Args:
        writes: those of a batch, or some of them, by their numbers in it.
        under_leases: whether those under leases are among them.
    """
    if len(writes) == 1:
        return {n: write for n, write in writes.items() if not write.touches_objects and (under_leases or write.fence is None)}
    left_out: set[str] = set()
    written: set[Row] = set()
    ordinary: dict[int, EncodedWrite] = {}
    for number, write in writes.items():
        keys = row_keys(write)
        is_extraordinary = write.touches_objects or not (under_leases or write.fence is None)
        if is_extraordinary or write.record.key.thread_id in left_out or not written.isdisjoint(keys):
            left_out.add(write.record.key.thread_id)
        else:
            written.update(keys)
            ordinary[number] = write
    return ordinary


class _Done(NamedTuple):
    """The numbers of the writes that were stored, and of those that were not, although their threads' rows count them."""

    stored: Set[int]
    miscounted: Set[int]


def _store_in_one_statement(db: Db, writes: Mapping[int, EncodedWrite], lock_timeout: str) -> _Done:
    """Store what can be stored without replacing anything, where there is no function."""
    rows = BatchRows(writes.items())
    parameters = sql.batch_postgres.entry_parameters(entry_rows(writes.items()), lock_timeout)
    for part, some in rows.parts.items():
        parameters |= sql.batch_postgres.batch_parameters(part, some, rows.entry_nos[part])
    found = db.run(sql.batch_postgres.commit_batch, parameters, frozenset(rows.parts))
    stored = {number for (number,) in found}
    return _Done(stored, writes.keys() - stored)


def _store_alone(db: Db, number: int, write: EncodedWrite, lock_timeout: str, *, was_counted: bool) -> dict[int, MissingParts]:
    """Store one write in a transaction of its own.

    Args:
        db: of the database.
        number: the write's number in its batch.
        write: the write.
        lock_timeout: how long it waits for a lock, as PostgreSQL takes it.
        was_counted: whether the statement for ordinary writes counted it in its thread's row.
    """
    key = write.record.key
    with db.transaction():
        db.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'")
        # Locks the thread's row before any other row of the thread is read.
        db.insert(sql.tables.THREAD, "add_up", thread_rows([write], not_new={key}))
        missing = store_writes(db, {number: write})
        if was_counted:
            db.run(sql.threads.recount, {"thread_id": key.thread_id})
        if missing:
            db.run(sql.threads.delete_empty_thread, {"thread_id": key.thread_id})
    return missing
