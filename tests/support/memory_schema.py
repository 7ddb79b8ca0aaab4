"""The schema of databases in memory, copied: migrations take forty milliseconds of CPU, and thousands of tests open such a database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url

UPGRADE = schema.upgrade


@contextmanager
def migrated_once() -> Iterator[None]:
    """Run the migrations on one database in memory, and copy it to those that are upgraded from nothing meanwhile."""
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as migrated, pytest.MonkeyPatch.context() as patch:
        database = open_database(parse_database_url(":memory:"), DatabaseSettings())
        try:
            database.write(UPGRADE).result()
            database.read(lambda db: _connection_of(db).backup(migrated)).result()
        finally:
            database.close()
        patch.setattr(schema, "upgrade", partial(_upgrade, migrated, threading.Lock()))
        yield


def _upgrade(migrated: sqlite3.Connection, alone: threading.Lock, db: Db, revision: str = "head") -> None:
    if revision == "head" and _is_empty_memory(db):
        with alone:
            migrated.backup(_connection_of(db))
    else:
        UPGRADE(db, revision)


def _is_empty_memory(db: Db) -> bool:
    connection = _connection_of(db)
    if not isinstance(connection, sqlite3.Connection) or db.connection.engine.url.database:
        return False
    return not connection.in_transaction and not connection.execute("SELECT 1 FROM sqlite_master").fetchall()


def _connection_of(db: Db) -> Any:
    return db.connection.connection.driver_connection
