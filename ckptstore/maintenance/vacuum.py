"""Giving back to the file system what deletions have freed."""

from __future__ import annotations

import logging
import time
from functools import partial

from ckptstore.db.handle import Db
from ckptstore.db.models import Base
from ckptstore.db.runner import Runner
from ckptstore.db.url import is_memory
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.reports import VacuumReport
from ckptstore.runtime.steps import Steps
from ckptstore.writes.queue import WriteQueue

logger = logging.getLogger(__name__)

# Two megabytes: a writer waits for some milliseconds.
_PAGES_AT_ONCE = 500
_INCREMENTAL = 2


def vacuum(runner: Runner, writer: WriteQueue, *, full: bool) -> Steps[VacuumReport]:
    """Give free pages back; on PostgreSQL, let the server clear ckptstore's tables, so that their space is used again.

    Args:
        runner: of the database, where the tables are.
        writer: its queue: on SQLite other writes go on between small steps.
        full: rewrite everything at once, with everybody else locked out. A SQLite file that another tool made needs it once.

    Raises:
        InvalidConfig: a SQLite file that can't give pages back without `full`.
    """
    started = time.perf_counter()
    if is_memory(runner.url):
        report = VacuumReport(0, 0)
    elif runner.statements.on_sqlite:
        report = yield from _vacuum_sqlite(writer, full)
    else:
        report = yield from _vacuum_postgres(runner, full)
    seconds = time.perf_counter() - started
    told = {"event": "vacuumed", "before_bytes": report.before_bytes, "after_bytes": report.after_bytes, "full": full, "seconds": seconds}
    logger.info("vacuumed: %d bytes, were %d, in %.3f s", report.after_bytes, report.before_bytes, seconds, extra=told)
    return report


def _vacuum_sqlite(writer: WriteQueue, full: bool) -> Steps[VacuumReport]:
    before = yield writer.run(_file_bytes)
    if full:
        yield writer.run(_rewrite)
    elif (yield writer.run(partial(_pragma, name="auto_vacuum"))) != _INCREMENTAL:
        raise InvalidConfig(
            "this SQLite file was made without auto_vacuum and keeps its free pages; once: ckptstore vacuum --full, or vacuum(full=True)"
        )
    while (yield writer.run(_free_some_pages)):
        pass
    yield writer.run(_write_back)
    return VacuumReport(before, (yield writer.run(_file_bytes)))


def _pragma(db: Db, name: str) -> int:
    value: int = db.execute(f"PRAGMA {name}").scalar_one()
    return value


def _file_bytes(db: Db) -> int:
    return _pragma(db, "page_count") * _pragma(db, "page_size")


def _rewrite(db: Db) -> None:
    db.execute("PRAGMA auto_vacuum=INCREMENTAL")
    db.execute("VACUUM")


def _free_some_pages(db: Db) -> bool:
    """Give some pages back; False when none is left, or none can be given."""
    before = _pragma(db, "freelist_count")
    if before:
        db.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
    return 0 < _pragma(db, "freelist_count") < before


def _write_back(db: Db) -> None:
    # The file shrinks when the log is written back to it. Passive: it waits for no reader.
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _vacuum_postgres(runner: Runner, full: bool) -> Steps[VacuumReport]:
    schema = runner.statements.schema
    prefix = f'"{schema}".' if schema else ""
    tables = [f"{prefix}{name}" for name in sorted(Base.metadata.tables)]
    before = yield runner.read(partial(_relation_bytes, tables=tables))
    command = "VACUUM (FULL, ANALYZE)" if full else "VACUUM (ANALYZE)"
    for table in tables:
        yield runner.write(partial(Db.execute, text=f"{command} {table}"))
    return VacuumReport(before, (yield runner.read(partial(_relation_bytes, tables=tables))))


def _relation_bytes(db: Db, tables: list[str]) -> int:
    names = ", ".join(f"pg_total_relation_size('{table}')" for table in tables)
    total: int = db.execute(f"SELECT {names.replace(', ', ' + ')}").scalar_one()
    return total
