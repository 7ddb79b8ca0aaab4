"""A batch on PostgreSQL: one statement for what is ordinary, then a transaction of `replace` for each entry that it left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.db.sql.tables import Row
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import BatchRows, entry_rows, row_keys, thread_rows


def commit(db: Db, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Make a batch durable, see `commit.commit_batch`."""
    ordinary = _ordinary(batch)
    stored = _store_in_one_statement(db, ordinary) if ordinary else set()
    missing: dict[int, MissingParts] = {}
    for number, write in enumerate(batch):
        if number not in stored:
            missing |= _store_alone(db, number, write, was_counted=number in ordinary)
    return [missing.get(number) for number in range(len(batch))]


def _ordinary(batch: Sequence[EncodedWrite]) -> dict[int, EncodedWrite]:
    """The writes that touch no object and no row that another one writes; later writes of a thread that is left out stay out too."""
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


def _store_in_one_statement(db: Db, writes: Mapping[int, EncodedWrite]) -> set[int]:
    """Store what can be stored without replacing anything; returns the numbers of those writes."""
    rows = BatchRows(writes.items())
    parameters = sql.batch_postgres.entry_parameters(entry_rows(writes.items()))
    for part, some in rows.parts.items():
        parameters |= sql.batch_postgres.batch_parameters(part, some, rows.entry_nos[part])
    found = db.run(sql.batch_postgres.commit_batch, parameters, frozenset(rows.parts))
    return {number for (number,) in found}


def _store_alone(db: Db, number: int, write: EncodedWrite, *, was_counted: bool) -> dict[int, MissingParts]:
    """Store one write in a transaction of its own.

    Args:
        db: where.
        number: of the write in its batch.
        write: what is stored.
        was_counted: whether the one statement counted it for its thread before leaving it out.
    """
    key = write.record.key
    with db.transaction():
        # This locks the thread's row, before anything of the thread is looked at.
        db.insert(sql.tables.THREAD, "add_up", thread_rows([write], not_new={key}))
        missing = store_writes(db, {number: write})
        if was_counted:
            db.run(sql.delete.recount, {"thread_id": key.thread_id})
        if missing:
            db.run(sql.delete.delete_empty_thread, {"thread_id": key.thread_id})
    return missing
