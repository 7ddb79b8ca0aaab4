"""Giving back to the file system what deletions have freed."""

from __future__ import annotations

import logging
import time
from functools import partial

from sqlalchemy import Connection

from ckptstore.config import is_memory
from ckptstore.database import Database
from ckptstore.errors import InvalidConfig
from ckptstore.execution import execute
from ckptstore.models import Base
from ckptstore.records import VacuumReport
from ckptstore.steps import Steps
from ckptstore.writer import Writer

logger = logging.getLogger(__name__)

# Two megabytes: a writer waits for some milliseconds.
_PAGES_AT_ONCE = 500
_INCREMENTAL = 2


def vacuum(database: Database, writer: Writer, schema: str | None, *, full: bool) -> Steps[VacuumReport]:
    """Give free pages back; on PostgreSQL, let the server clear ckptstore's tables, so that their space is used again.

    Args:
        database: where the tables are.
        writer: its queue: on SQLite other writes go on between small steps.
        schema: the PostgreSQL schema of the tables.
        full: rewrite everything at once, with everybody else locked out. A SQLite file that another tool made needs it once.

    Raises:
        InvalidConfig: a SQLite file that can't give pages back without `full`.
    """
    started = time.perf_counter()
    if is_memory(database.url):
        report = VacuumReport(0, 0)
    elif database.dialect.name == "sqlite":
        report = yield from _vacuum_sqlite(writer, full)
    else:
        report = yield from _vacuum_postgres(database, schema, full)
    seconds = time.perf_counter() - started
    told = {"event": "vacuumed", "before_bytes": report.before_bytes, "after_bytes": report.after_bytes, "full": full, "seconds": seconds}
    logger.info("vacuumed: %d bytes, were %d, in %.3f s", report.after_bytes, report.before_bytes, seconds, extra=told)
    return report


def _vacuum_sqlite(writer: Writer, full: bool) -> Steps[VacuumReport]:
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


def _pragma(connection: Connection, name: str) -> int:
    value: int = execute(connection, f"PRAGMA {name}").scalar_one()
    return value


def _file_bytes(connection: Connection) -> int:
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def _rewrite(connection: Connection) -> None:
    execute(connection, "PRAGMA auto_vacuum=INCREMENTAL")
    execute(connection, "VACUUM")


def _free_some_pages(connection: Connection) -> bool:
    """Give some pages back; False when none is left, or none can be given."""
    before = _pragma(connection, "freelist_count")
    if before:
        execute(connection, f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
    return 0 < _pragma(connection, "freelist_count") < before


def _write_back(connection: Connection) -> None:
    # The file shrinks when the log is written back to it. Passive: it waits for no reader.
    execute(connection, "PRAGMA wal_checkpoint(PASSIVE)")


def _vacuum_postgres(database: Database, schema: str | None, full: bool) -> Steps[VacuumReport]:
    prefix = f'"{schema}".' if schema else ""
    tables = [f"{prefix}{name}" for name in sorted(Base.metadata.tables)]
    before = yield database.read(partial(_relation_bytes, tables=tables))
    command = "VACUUM (FULL, ANALYZE)" if full else "VACUUM (ANALYZE)"
    for table in tables:
        yield database.write(partial(execute, text=f"{command} {table}"))
    return VacuumReport(before, (yield database.read(partial(_relation_bytes, tables=tables))))


def _relation_bytes(connection: Connection, tables: list[str]) -> int:
    names = ", ".join(f"pg_total_relation_size('{table}')" for table in tables)
    total: int = execute(connection, f"SELECT {names.replace(', ', ' + ')}").scalar_one()
    return total
