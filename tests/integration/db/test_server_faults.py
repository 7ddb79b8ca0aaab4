"""What a failover, a restart, a pooler or a timeout brings: an attempt is repeated where it helps, on another connection where it must."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import psycopg
import pytest

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.sqlstates import FAULTS, Discard
from ckptstore.errors import DatabaseCorrupt, DatabaseUnavailable
from tests.support.build import config, put
from tests.support.databases import url_of

# asyncpg has no types.
InternalClientError: type[Exception] = import_module("asyncpg").exceptions.InternalClientError
#: A whole code for each row of the table; 0A000 is a fault only where PostgreSQL itself raises it.
CODES = {code: code if len(code) == 5 else f"{code}{'P01' if code == '08' else '000'}" for code in FAULTS if code != "0A000"}


@pytest.fixture(params=["asyncpg", "psycopg"])
def server_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """An empty database of a PostgreSQL server, through each driver."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    """Another connection to the server."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


class Attempts:
    """Work that fails at its first attempt; records the server process that served each attempt."""

    def __init__(self, fail: Any) -> None:
        self.pids: list[int] = []
        self._fail = fail

    def __call__(self, db: Db) -> str:
        self.pids.append(db.execute("SELECT pg_backend_pid()").scalar_one())
        if len(self.pids) == 1:
            self._fail(db)
        return "done"

    @property
    def replaced(self) -> bool:
        """Whether the second attempt had another connection."""
        assert len(self.pids) == 2
        return self.pids[0] != self.pids[1]


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[SQLAlchemySaver]:
    """A saver that has reached its server."""
    with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(**settings)) as saver:
        saver.get_tuple(config("none"))
        yield saver


@pytest.mark.parametrize("code", CODES)
def test_each_row_of_the_table_is_what_happens(server_url: str, code: str) -> None:
    fault = FAULTS[code]
    raise_it = f"DO $$ BEGIN RAISE EXCEPTION 'what happened' USING ERRCODE = '{CODES[code]}'; END $$"
    attempts = Attempts(lambda db: db.execute(raise_it))
    with opened(server_url) as saver:
        outcome = saver.store.runner.write(attempts)
        if fault.transient:
            assert outcome.result() == "done"
            assert attempts.replaced == (fault.discard is not Discard.NONE)
            return
        with pytest.raises((DatabaseUnavailable, DatabaseCorrupt), match="what happened") as caught:
            outcome.result()
        assert isinstance(caught.value, DatabaseCorrupt) == (code in ("XX001", "XX002"))
        assert not getattr(caught.value, "transient", False)
        assert len(attempts.pids) == 1
        # What failed for good leaves a saver that goes on.
        assert saver.store.runner.write(attempts).result() == "done"
        assert attempts.replaced == (fault.discard is not Discard.NONE)


def _exceed_statement_timeout(db: Db) -> None:
    db.execute("SET statement_timeout = 1")
    try:
        db.execute("SELECT pg_sleep(60)")
    finally:
        db.execute("SET statement_timeout = 0")


def _lose_prepared_statements(db: Db) -> None:
    for _ in range(2):
        db.execute("SELECT 1")
        # As when a pooler gives the connection another server's: within a block, or psycopg would notice.
        db.execute("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$")


def _in_failed_transaction(db: Db) -> None:
    db.execute("BEGIN")
    with pytest.raises(Exception, match="division"):
        db.execute("SELECT 1/0")
    db.execute("SELECT 1")


@pytest.mark.parametrize(
    ("fail", "replaced"),
    [
        (lambda db: db.execute("SELECT pg_terminate_backend(pg_backend_pid())"), True),
        (lambda db: db.execute("SELECT pg_cancel_backend(pg_backend_pid())"), False),
        (_exceed_statement_timeout, False),
        (_lose_prepared_statements, True),
        (_in_failed_transaction, True),
    ],
    ids=["terminated", "cancelled", "statement timeout", "prepared elsewhere", "failed transaction"],
)
def test_what_the_server_itself_raises_is_repeated(server_url: str, fail: Any, replaced: bool) -> None:
    attempts = Attempts(fail)
    with opened(server_url) as saver:
        assert saver.store.runner.write(attempts).result() == "done"
    assert attempts.replaced == replaced


def test_a_lock_that_is_not_available_is_asked_for_again(server_url: str, admin: psycopg.Connection) -> None:
    admin.execute("SELECT pg_advisory_lock(7)")

    def ask(db: Db) -> None:
        try:
            db.execute("DO $$ BEGIN SET LOCAL lock_timeout = 1; PERFORM pg_advisory_lock(7); END $$")
        finally:
            admin.execute("SELECT pg_advisory_unlock(7)")

    attempts = Attempts(ask)
    with opened(server_url) as saver:
        assert saver.store.runner.write(attempts).result() == "done"
    assert not attempts.replaced


def test_the_victim_of_a_deadlock_is_repeated(server_url: str, admin: psycopg.Connection, postgres_url: str) -> None:
    with opened(server_url) as saver, psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(2)")
        asked = threading.Thread(target=other.execute, args=["SELECT pg_advisory_lock(1)"])

        def cross(db: Db) -> None:
            with db.transaction():
                # The other one never looks for a deadlock within a test's time.
                db.execute("SET LOCAL deadlock_timeout = '1ms'")
                db.execute("SELECT pg_advisory_xact_lock(1)")
                asked.start()
                while not admin.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall():
                    pass
                db.execute("SELECT pg_advisory_xact_lock(2)")

        other.execute("SET deadlock_timeout = '10min'")
        attempts = Attempts(cross)
        assert saver.store.runner.write(attempts).result() == "done"
        asked.join()
        assert not attempts.replaced


@contextmanager
def read_only(admin: psycopg.Connection) -> Iterator[None]:
    """Connections that are opened meanwhile are read-only, as those to a standby are, and stay so."""
    (name,) = admin.execute("SELECT current_database()").fetchone() or ("",)
    admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        yield
    finally:
        admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')


def open_connections(saver: SQLAlchemySaver, admin: psycopg.Connection, count: int) -> list[int]:
    """Let a saver open so many connections, all in use at once; returns their server processes."""
    admin.execute("SELECT pg_advisory_lock(8)")
    work = "SELECT pg_backend_pid(), pg_advisory_lock_shared(8)::text, pg_advisory_unlock_shared(8)"
    reads = [saver.store.runner.read(lambda db: db.execute(work).scalar_one()) for _ in range(count)]
    while len(admin.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall()) < count:
        pass
    admin.execute("SELECT pg_advisory_unlock(8)")
    return [read.result() for read in reads]


async def test_writes_continue_as_soon_as_a_server_is_no_longer_read_only(server_url: str, admin: psycopg.Connection) -> None:
    async with SQLAlchemySaver.from_conn_string(server_url, settings=DatabaseSettings(retry_seconds=0.5)) as saver:
        with read_only(admin):
            # Each of these connections would pass a test.
            useless = set(open_connections(saver, admin, 5))
            assert len(useless) == 5
            with pytest.raises(DatabaseUnavailable, match="read-only") as caught:
                await put(saver, config("t"))
            assert caught.value.transient
        await put(saver, config("t"))
        assert len(await saver.alist(config("t"))) == 1
        assert useless.isdisjoint(open_connections(saver, admin, 5))


def test_a_write_that_meets_a_read_only_server_waits_for_its_end(server_url: str, admin: psycopg.Connection) -> None:
    with SQLAlchemySaver.from_conn_string(server_url) as saver, read_only(admin):
        saver.get_tuple(config("t"))
        (name,) = admin.execute("SELECT current_database()").fetchone() or ("",)

        def write(db: Db) -> None:
            try:
                db.execute("UPDATE ckpt_thread SET generation = 1")
            finally:
                admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

        attempts = Attempts(write)
        assert saver.store.runner.write(attempts).result() == "done"
        assert attempts.replaced


async def test_a_saver_survives_the_restart_of_every_connection(server_url: str, admin: psycopg.Connection) -> None:
    async with SQLAlchemySaver.from_conn_string(server_url) as saver:
        where = await put(saver, config("t"), {"a": 1})
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        await saver.aput_writes(where, [("a", 2)], "task")
        found = await saver.aget_tuple(where)
        assert found is not None
        assert found.pending_writes == [("task", "a", 2)]


def test_a_connection_that_the_server_is_ending_is_replaced(server_url: str) -> None:
    def fail(db: Db) -> None:
        # asyncpg has read the server's last message, and has not noticed yet that the connection is closed.
        exc = InternalClientError("cannot switch to state 12; another operation (2) is in progress")
        db.discard_if_lost(exc)

    attempts = Attempts(fail)
    with opened(server_url) as saver:
        assert saver.store.runner.write(attempts).result() == "done"
    assert attempts.replaced
