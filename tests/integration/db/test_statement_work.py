"""Work that one statement does: asyncpg executes it itself, unless someone observes; what is left, and any other driver, gets a `Db`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from ckptstore.db.abilities import Abilities
from ckptstore.db.async_runner import AsyncRunner
from ckptstore.db.connection import Db
from ckptstore.db.open import open_database
from ckptstore.db.retries import seconds_from_now
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.statement import Statements
from ckptstore.db.statement_work import Call, StatementWork
from ckptstore.db.url import parse_database_url
from ckptstore.errors import DatabaseUnavailable, StatementRefused
from ckptstore.runtime.wakeups import settled


class Noted(StatementWork[str]):
    """Notes how it was run; its statement's answer is its result, unless that is empty."""

    def __init__(self, text: str = "SELECT 'answer'", arguments: Sequence[Any] = ()) -> None:
        self.call: Call | None = Call(text, arguments)
        self.seen: list[str] = []

    def __call__(self, db: Db) -> str:
        self.seen.append("called")
        return str(db.execute("SELECT 'with a Db'").scalar_one())

    def statement(self, statements: Statements, abilities: Abilities) -> Call | None:
        self.seen.append("asked")
        return self.call

    def result(self, rows: Sequence[Any]) -> str | None:
        ((found,),) = rows
        self.seen.append("answered")
        return str(found) if found else None

    def recovers(self, exc: Exception) -> bool:
        return getattr(exc, "sqlstate", "") == "23505"

    def explain(self, exc: Exception) -> Exception:
        return LookupError("explained") if getattr(exc, "sqlstate", "") == "22012" else exc


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url.replace("postgresql:", "postgresql+asyncpg:")


@pytest.fixture
def runner(url: str) -> Iterator[AsyncRunner]:
    database = open_database(parse_database_url(url), DatabaseSettings(retry_seconds=5.0))
    assert isinstance(database, AsyncRunner)
    yield database
    database.close()


async def test_the_statement_is_all_that_is_executed(runner: AsyncRunner) -> None:
    work = Noted("SELECT $1::text", ("given",))
    assert await settled(runner.write(work)) == "given"
    assert work.seen == ["asked", "answered"]


async def test_a_read_takes_the_connection_of_the_last_batch_and_leaves_it_for_the_next(runner: AsyncRunner) -> None:
    backend = Noted("SELECT pg_backend_pid()::text")
    pids = {await settled(method(backend)) for method in (runner.write, runner.read, runner.read, runner.write)}
    assert len(pids) == 1
    assert backend.seen == ["asked", "answered"] * 4
    both = runner.read(Noted("SELECT pg_sleep(0.1)::text || pg_backend_pid()")), runner.read(Noted("SELECT pg_backend_pid()::text"))
    assert len({await settled(each) for each in both}) == 2


async def test_what_is_left_and_what_has_no_statement_gets_a_db(runner: AsyncRunner) -> None:
    rest, none = Noted("SELECT ''"), Noted()
    none.call = None
    assert await settled(runner.write(rest)) == await settled(runner.write(none)) == "with a Db"
    assert (rest.seen, none.seen) == (["asked", "answered", "called"], ["asked", "called"])


async def test_an_observer_sees_all_of_it(runner: AsyncRunner) -> None:
    statements: list[str] = []

    def note(*args: Any) -> None:
        statements.append(args[2])

    event.listen(runner._engine.sync_engine, "before_cursor_execute", note)
    work = Noted()
    assert await settled(runner.write(work)) == "with a Db"
    assert (work.seen, statements) == (["called"], ["SELECT 'with a Db'"])


async def test_another_driver_gets_a_db(postgres_url: str) -> None:
    database = open_database(parse_database_url(postgres_url.replace("postgresql:", "postgresql+psycopg:")), DatabaseSettings())
    work = Noted()
    assert await settled(database.write(work)) == "with a Db"
    assert work.seen == ["called"]
    await asyncio.to_thread(database.close)


async def test_errors_are_explained_or_translated_and_the_connection_stays(runner: AsyncRunner) -> None:
    backend = Noted("SELECT pg_backend_pid()::text")
    before = await settled(runner.write(backend))
    with pytest.raises(LookupError, match="explained"):
        await settled(runner.write(Noted("SELECT 1 / 0")))
    with pytest.raises(StatementRefused, match="does not exist"):
        await settled(runner.write(Noted("SELECT no_such_function()")))
    assert await settled(runner.write(backend)) == before


async def test_an_error_that_it_recovers_from_is_followed_by_a_db(runner: AsyncRunner) -> None:
    twice = "WITH twice AS (INSERT INTO ckpt_setting SELECT 'same', '{}' FROM generate_series(1, 2) RETURNING name) SELECT name FROM twice"
    work = Noted(twice)
    assert await settled(runner.write(work)) == "with a Db"
    assert work.seen == ["asked", "called"]


async def test_a_lost_connection_is_replaced_and_the_statement_repeated(runner: AsyncRunner, postgres_url: str) -> None:
    backend = Noted("SELECT pg_backend_pid()::text")
    before = await settled(runner.write(backend))
    with psycopg.connect(postgres_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [int(before)])
    assert await settled(runner.write(backend)) != before
    assert backend.seen == ["asked", "answered", "asked", "asked", "answered"]
    ended = runner.write(Noted("SELECT pg_terminate_backend(pg_backend_pid())::text"), deadline=seconds_from_now(0.0))
    # asyncpg 0.30 does not repeat what the server says.
    with pytest.raises(DatabaseUnavailable, match=r"terminat|closed in the middle"):
        await settled(ended)
    assert await settled(runner.write(backend)) != before


async def test_a_statement_that_is_cancelled_leaves_its_connection(runner: AsyncRunner) -> None:
    backend = Noted("SELECT pg_backend_pid()::text")
    before = await settled(runner.write(backend))
    running = asyncio.Event()
    here, fetch = asyncio.get_running_loop(), runner._fetch

    async def noted(driver_connection: Any, call: Call) -> Sequence[Any]:
        here.call_soon_threadsafe(running.set)
        return await fetch(driver_connection, call)

    runner._fetch = noted
    cancelled = runner.write(Noted("SELECT pg_sleep(60)::text"))
    await running.wait()
    runner.call_soon(runner._loop._cancel_tasks)
    with pytest.raises(Exception, match="closed before this operation ended"):
        await settled(cancelled)
    assert await settled(runner.write(backend)) != before
