"""The schema of new SQLite databases, copied: migrations take fifty milliseconds of CPU, and thousands of tests open a new database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import pytest

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.schema_events import log_changed, log_started
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.tables import VERSION_TABLE
from ckptstore.db.url import parse_database_url

UPGRADE = schema.upgrade


@contextmanager
def migrated_once() -> Iterator[None]:
    """Run the migrations on one database in memory, and copy it to the SQLite databases that are upgraded from nothing meanwhile."""
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as migrated, pytest.MonkeyPatch.context() as patch:
        database = open_database(parse_database_url(":memory:"), DatabaseSettings())
        try:
            database.write(UPGRADE).result()
            database.read(lambda db: _connection_of(db).backup(migrated)).result()
        finally:
            database.close()
        statements = [sql for (sql,) in migrated.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
        patch.setattr(schema, "upgrade", partial(_upgrade, migrated, threading.Lock(), statements))
        yield


@contextmanager
def migrated_files() -> Iterator[None]:
    """Run the migrations on new files again, for tests of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "upgrade", partial(_upgrade_file, schema.upgrade))
        yield


def _upgrade_file(copy: Any, db: Db, revision: str = "head") -> None:
    (copy if _is_memory(db) else UPGRADE)(db, revision)


def _upgrade(migrated: sqlite3.Connection, alone: threading.Lock, statements: list[str], db: Db, revision: str = "head") -> None:
    if revision != "head" or not _is_empty(db):
        UPGRADE(db, revision)
    elif _is_memory(db):
        with alone:
            migrated.backup(_connection_of(db))
    else:
        _create(statements, db)


def _create(statements: list[str], db: Db) -> None:
    """Create in a file what the migrations do; the file keeps its own settings, which a copy by pages would replace."""
    log_started(None, schema.HEAD)
    started = time.perf_counter()
    with db.transaction():
        schema.enter_exclusively(db)
        before = schema.current_revision(db)
        if before is None:
            for statement in statements:
                db.execute(statement)
            db.execute(f"INSERT INTO {VERSION_TABLE} VALUES (?)", (schema.HEAD,))
    log_changed(before, schema.HEAD, time.perf_counter() - started)


def _is_memory(db: Db) -> bool:
    return isinstance(_connection_of(db), sqlite3.Connection) and not db.connection.engine.url.database


def _is_empty(db: Db) -> bool:
    connection = _connection_of(db)
    if not isinstance(connection, sqlite3.Connection) or connection.in_transaction:
        return False
    return not connection.execute("SELECT 1 FROM sqlite_master").fetchall()


def _connection_of(db: Db) -> Any:
    return db.connection.connection.driver_connection
