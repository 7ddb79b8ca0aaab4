"""Rows of the load table, as savers write them."""

from __future__ import annotations

import json
from typing import Any

from ckptstore import SQLAlchemySaver
from ckptstore.db.sql.tables import LOAD, Row

#: A minute in which a saver on a fast disk had little to do.
QUIET = {
    "process": "host:1",
    "seconds": 60,
    "writes": 60,
    "commits": 60,
    "bytes_written": 60_000,
    "commit_p99_microseconds": 900,
    "lock_wait_microseconds": 1_000,
    "errors": 0,
    "retries": 0,
    "queue_depth": 0,
    "connections_in_use": 1,
    "connections_limit": 5,
    "searched": {},
}


def load_row(started_at: int, **changes: Any) -> Row:
    """The cells of a row (`started_at` in microseconds since 1970)."""
    cells = {**QUIET, "started_at": started_at, **changes}
    cells["searched"] = json.dumps(cells["searched"])
    return tuple(cells[column.name] for column in LOAD.c)


def add_loads(saver: SQLAlchemySaver, *rows: Row) -> None:
    saver.store.runner.write(lambda db: db.insert(LOAD, "replace", rows)).result()
