"""Giving the space of deleted rows back: to the file system on SQLite, to later writes on PostgreSQL."""

from __future__ import annotations

import logging
import time
from functools import partial

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.db.tag_tables import names_in
from ckptstore.db.url import is_memory
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.reports import VacuumReport
from ckptstore.maintenance.turns import MaintainedThreads, take_turn
from ckptstore.runtime.steps import Steps, done_after

logger = logging.getLogger(__name__)

# Two megabytes: other writes wait for some milliseconds.
_PAGES_PER_STEP = 500
# The value of `PRAGMA auto_vacuum` for INCREMENTAL.
_INCREMENTAL = 2
# A checkpoint of the log takes milliseconds; a reader may take as long as it likes, and the file shrinks later.
_CHECKPOINT_TRIES = 20
_CHECKPOINT_PAUSE_SECONDS = 0.01


def vacuum(store: MaintainedThreads, runner: Runner, *, full: bool) -> Steps[VacuumReport]:
    """Run an incremental VACUUM on SQLite, in small steps between other writes; on PostgreSQL, VACUUM and ANALYZE ckptstore's tables.

    Args:
        store: has the write queue.
        runner: of the store.
        full: rewrite the whole file or all tables, and lock everybody else out meanwhile. A SQLite file that was created by
            another tool needs it once.

    Raises:
        InvalidConfig: the SQLite file can't give pages back without `full`.
    """
    started = time.perf_counter()
    if is_memory(runner.url):
        report = VacuumReport(0, 0)
    elif runner.statements.on_sqlite:
        report = yield from _vacuum_sqlite(store, runner, full)
    else:
        report = yield from _vacuum_postgres(runner, full)
    seconds = time.perf_counter() - started
    logger.info(
        "vacuum: %d bytes before, %d bytes after, in %.3f s", report.before_bytes, report.after_bytes, seconds,
        extra={"event": "vacuumed", **report._asdict(), "full": full, "seconds": seconds},
    )  # fmt: skip
    return report


def _vacuum_sqlite(store: MaintainedThreads, runner: Runner, full: bool) -> Steps[VacuumReport]:
    before = yield from store.run_in_queue(_file_bytes)
    if full:
        yield from store.run_in_queue(_rewrite_file)
    elif (yield from store.run_in_queue(partial(_pragma, name="auto_vacuum"))) != _INCREMENTAL:
        raise InvalidConfig(
            "this SQLite file was created without auto_vacuum and can't give free pages back; run once: ckptstore vacuum --full, "
            "or vacuum(full=True)"
        )
    while (yield from take_turn(store, _free_pages)):
        pass
    for _ in range(_CHECKPOINT_TRIES):
        # Not in the queue: a checkpoint of a long log takes seconds, and writers append to the log meanwhile.
        if (yield runner.read(_checkpoint_wal)):
            break
        # A reader, or the worker thread that keeps the log short, is using it: the queue continues meanwhile.
        yield done_after(_CHECKPOINT_PAUSE_SECONDS)
    return VacuumReport(before, (yield from store.run_in_queue(_file_bytes)))


def _pragma(db: Db, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").scalar_one()
    return value


def _file_bytes(db: Db) -> int:
    return _pragma(db, "page_count") * _pragma(db, "page_size")


def _rewrite_file(db: Db) -> None:
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("VACUUM")


def _free_pages(db: Db) -> bool:
    """Return some free pages to the file system; returns whether there are more."""
    with db.transaction():
        before = _pragma(db, "freelist_count")
        for _ in range(min(before, _PAGES_PER_STEP)):
            # One page each: Python's driver makes only the first step of a statement that returns no columns.
            db.execute("PRAGMA incremental_vacuum(1)")
        return 0 < _pragma(db, "freelist_count") < before


def _checkpoint_wal(db: Db) -> bool:
    """Copy the write-ahead log back to the file, which then shrinks; returns whether all of it was copied."""
    # PASSIVE waits for no reader.
    ((is_busy, pages, copied_pages),) = db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    return not is_busy and pages == copied_pages


def _vacuum_postgres(runner: Runner, full: bool) -> Steps[VacuumReport]:
    before = yield runner.read(_table_bytes)
    # After its first read, which has found out how it keeps tags.
    for table in names_in(on_sqlite=False, numbers_tags=(yield runner.read(lambda db: db.statements.numbers_tags))):
        yield runner.write(partial(_vacuum_table, table=table, full=full))
    return VacuumReport(before, (yield runner.read(_table_bytes)))


def _vacuum_table(db: Db, table: str, full: bool) -> None:
    db.expect_long(unbounded=True)
    command = "VACUUM (FULL, ANALYZE)" if full else "VACUUM (ANALYZE)"
    db.execute(f"{command} {db.statements.table_name(table)}")


def _table_bytes(db: Db) -> int:
    """The size of the tables with their indexes."""
    db.expect_long()
    total: int = db.run(sql.vacuum.table_bytes, {"schema": db.statements.schema}).scalar_one()
    return total
