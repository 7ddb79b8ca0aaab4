"""One process at a time changes a schema; the others wait for it, and know since when it has been at it.

On PostgreSQL an advisory lock admits one, and the server knows when its transaction began. On SQLite the write lock does; who upgrades a
file with data commits a row about it first, which the others can read meanwhile.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TypeVar

from ckptstore.db.connection import Db
from ckptstore.db.secrets import masked
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.db.tables import TABLE_PREFIX
from ckptstore.errors import UpgradeUnderWay

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How long a process waits for another one that changes the schema.
WAIT_SECONDS = 600.0
# How often it looks whether SQLite's lock is free, where SQLite itself does not wait.
_LOOK_SECONDS = 0.05
# An arbitrary number, the same in every ckptstore process.
_ADVISORY_LOCK = 0x636B_7074
_NOTICE = f"{TABLE_PREFIX}upgrade"
_LOCK_NOT_AVAILABLE = "55P03"

_SINCE = f"""
    SELECT to_char(holder.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
    FROM pg_locks AS held JOIN pg_stat_activity AS holder USING (pid)
    WHERE held.locktype = 'advisory' AND held.objid = {_ADVISORY_LOCK} AND held.objsubid = 1
        AND held.granted AND held.mode = 'ExclusiveLock'
        AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def admit_alone(db: Db) -> None:
    """Within a transaction, admit one process at a time until it ends.

    Raises:
        UpgradeUnderWay: another process took longer than this one waits.
    """
    if db.on_sqlite:
        # Uncommitted, so others still read it.
        db.execute(f"DROP TABLE IF EXISTS {_NOTICE}")
        return
    # Between two statements, migrations may compute for long.
    db.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
    _wait_for_lock(db, "pg_advisory_xact_lock", "pg_try_advisory_xact_lock")


def wait_for_others(db: Db) -> None:
    """Return when no other process changes the schema of a server's database.

    Raises:
        UpgradeUnderWay: another process took longer than this one waits.
    """
    if not db.on_sqlite:
        db.expect_long(unbounded=True)
        with db.transaction():
            _wait_for_lock(db, "pg_advisory_xact_lock_shared", "pg_try_advisory_xact_lock_shared")


def _wait_for_lock(db: Db, lock: str, try_lock: str) -> None:
    if db.execute(f"SELECT {try_lock}({_ADVISORY_LOCK})").scalar_one():
        return
    since = server_upgrade_since(db)
    _log(db, since)
    db.execute(f"SELECT set_config('lock_timeout', '{round(WAIT_SECONDS * 1000)}', true)")
    try:
        db.execute(f"SELECT {lock}({_ADVISORY_LOCK})")
    except Exception as exc:
        if sqlstate_of(exc) == _LOCK_NOT_AVAILABLE:
            raise _under_way(db, since) from exc
        raise


def server_upgrade_since(db: Db) -> str | None:
    """When a process began to change the schema of a server's database; None if none does. Works while it has the tables locked."""
    return next((found for (found,) in db.execute(_SINCE)), None)


@contextmanager
def announced(db: Db) -> Iterator[None]:
    """Let others know since when a SQLite file with data is upgraded; `admit_alone` takes the notice back with the upgrade's own commit."""
    if not db.on_sqlite:
        yield
        return
    with db.transaction():
        db.execute(f"CREATE TABLE IF NOT EXISTS {_NOTICE} (started_at TEXT NOT NULL)")
        db.execute(f"DELETE FROM {_NOTICE}")
        db.execute(f"INSERT INTO {_NOTICE} VALUES ('{datetime.now(UTC):%Y-%m-%d %H:%M:%S}')")
    try:
        yield
    except BaseException:
        with suppress(Exception):
            db.execute(f"DROP TABLE IF EXISTS {_NOTICE}")
        raise


def in_turn(db: Db, upgrade: Callable[[Db], T]) -> T:
    """Run an upgrade; on SQLite, wait for another process that announced its own.

    Raises:
        UpgradeUnderWay: it took longer than this one waits.
    """
    give_up_at = time.monotonic() + WAIT_SECONDS
    noticed: str | None = None
    while True:
        try:
            return upgrade(db)
        except sqlite3.OperationalError as exc:
            since = _announced_at(db) if "locked" in str(exc) else None
            if since is None:
                raise
            if time.monotonic() >= give_up_at:
                raise _under_way(db, since) from exc
            if since != noticed:
                noticed = since
                _log(db, since)
            time.sleep(_LOOK_SECONDS)


def _announced_at(db: Db) -> str | None:
    """When another process began to upgrade a SQLite file; None if none recorded it."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_NOTICE,)).all():
        return None
    found: str | None = next((started_at for (started_at,) in db.execute(f"SELECT started_at FROM {_NOTICE}")), None)
    return found


def _log(db: Db, since: str | None) -> None:
    logger.warning("%s; waiting for its end", _message(db, since), extra={"event": "upgrade_awaited", "since": since})


def _message(db: Db, since: str | None) -> str:
    began = f"since {since} UTC" if since else "already"
    return f"{masked(db.connection.engine.url)}: another process is changing the schema {began}"


def _under_way(db: Db, since: str | None) -> UpgradeUnderWay:
    return UpgradeUnderWay(f"{_message(db, since)}, and this one has waited {WAIT_SECONDS:g} s; try again when it is done", transient=False)
