"""A SQLite file that a command created, and then stored nothing in: a refused command leaves nothing behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL

from ckptstore.db.sql.tables import OBJECT, THREAD
from ckptstore.db.url import is_memory


@contextmanager
def removed_if_refused(url: URL) -> Iterator[None]:
    """Delete a SQLite file that the block created if the block fails, or exits with a status, before anything was stored in the file."""
    path = None if url.get_backend_name() != "sqlite" or is_memory(url) else Path(str(url.database))
    existed = path is None or path.exists()
    try:
        yield
    except BaseException as exc:
        if path is not None and not existed and not (isinstance(exc, SystemExit) and not exc.code):
            _remove_unused(path)
        raise


def _remove_unused(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True, timeout=0, isolation_level=None)) as connection:
            # Fails if another process has opened the file. It also deletes the log.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
            if not _is_used(connection):
                path.unlink()
    except (sqlite3.Error, OSError):
        # It is not there, or somebody uses it already.
        return


def _is_used(connection: sqlite3.Connection) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    # An upload notes its object first, so that whatever a crash leaves behind is found from the row.
    return any(connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in (THREAD.name, OBJECT.name) if name in tables)
