"""Connections whose peer swallows everything and says nothing, as behind a firewall that lost its state: the saver goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks.faults.faulty_link import FaultyLink, faulty_link
from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db import async_runner, peer, postgres, server_connections
from ckptstore.db.connection import Db
from ckptstore.db.url import parse_database_url
from ckptstore.errors import DatabaseUnavailable
from ckptstore.runtime.wakeups import settled
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.databases import url_of
from tests.support.faults import INSERTS_BATCH, fault

#: Longer than a server under load takes for any answer, and short for whoever waits for a test.
QUICK = DatabaseSettings(attempt_seconds=1.0, retry_seconds=60.0)


@pytest.fixture(autouse=True)
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what is not a setting: testing an idle connection, cancelling a statement, closing connections."""
    monkeypatch.setattr(postgres, "_PING_SECONDS", 0.5)
    monkeypatch.setattr(peer, "_CANCEL_SECONDS", 0.5)
    for module in (async_runner, server_connections):
        monkeypatch.setattr(module, "GRACEFUL_CLOSE_SECONDS", 0.5)


@pytest.fixture(params=["asyncpg", "psycopg"])
def server_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """An empty database of a PostgreSQL server, through each driver."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture
def link(server_url: str) -> Iterator[FaultyLink]:
    with faulty_link(server_url) as link:
        yield link


@asynccontextmanager
async def opened(url: str, *, adopted: bool = False, settings: DatabaseSettings = QUICK) -> AsyncIterator[SQLAlchemySaver]:
    """A saver, perhaps on an engine of its caller's."""
    if not adopted:
        async with SQLAlchemySaver.from_conn_string(url, settings=settings) as saver:
            yield saver
        return
    engine = create_async_engine(url)
    async with SQLAlchemySaver(engine, settings=settings) as saver:
        yield saver
    await engine.dispose()


async def use_connections(saver: SQLAlchemySaver, count: int) -> None:
    """Let a saver open some connections, and keep one for writing."""
    await chain(saver, "before", 2)
    await asyncio.gather(*[saver.aget_tuple(config("before")) for _ in range(count)])


@pytest.mark.parametrize("silent", [{"requests": False}, {"replies": False}, {}], ids=["replies", "requests", "both"])
@pytest.mark.parametrize("adopted", [False, True], ids=["own", "adopted"])
async def test_writes_and_reads_continue_and_each_write_has_its_effect_once(
    server_url: str, link: FaultyLink, silent: dict[str, bool], adopted: bool
) -> None:
    async with opened(link.url, adopted=adopted) as saver:
        await use_connections(saver, 5)
        assert link.silence(**silent) >= 2
        written = await asyncio.gather(
            *[chain(saver, f"t{n}", 3) for n in range(5)], *[saver.aget_tuple(config("before")) for _ in range(5)]
        )
        assert all(written)
        found = await saver.aget_tuple(config("t0"))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"n": 2}
    async with SQLAlchemySaver.from_conn_string(server_url) as direct:
        threads = {thread.thread_id: thread.checkpoints for thread in await direct.alist_threads()}
        assert threads == {"before": 2, **{f"t{n}": 3 for n in range(5)}}
        for n in range(5):
            assert [found.metadata["step"] for found in await direct.alist(config(f"t{n}"))] == [2, 1, 0]
        assert len(await direct.alist(None, filter={"step": 2})) == 5


async def test_what_a_silent_transaction_has_locked_is_free_again(link: FaultyLink) -> None:
    async with opened(link.url) as saver:
        where = await put(saver, config("t"), {"n": 0})
        attempts: list[None] = []
        # Nothing else changes it.
        created_at = "SELECT created_at FROM ckpt_thread WHERE thread_id = 't'"
        before = await settled(saver.store.runner.read(lambda db: db.execute(created_at).scalar_one()))

        def lock_twice(db: Db) -> None:
            attempts.append(None)
            with db.transaction():
                db.execute("SELECT FROM ckpt_thread WHERE thread_id = 't' FOR UPDATE")
                if len(attempts) == 1:
                    link.silence()
                db.execute("UPDATE ckpt_thread SET created_at = created_at + 1 WHERE thread_id = 't'")

        done = saver.store.runner.write(lock_twice)
        await saver.aput_writes(where, [("n", 1)], "task")
        await settled(done)
        assert len(attempts) > 1
        assert await settled(saver.store.runner.read(lambda db: db.execute(created_at).scalar_one())) == before + 1


async def test_a_write_that_waited_for_a_lock_and_was_repeated_has_its_effect_once(server_url: str, postgres_url: str) -> None:
    settings = DatabaseSettings(attempt_seconds=0.5, retry_seconds=60.0)
    async with opened(server_url, settings=settings) as saver:
        await put(saver, config("t"), {"n": 0})
        with psycopg.connect(postgres_url) as other, fault(saver, "before", INSERTS_BATCH, None, times=1_000) as attempts:
            other.execute("SELECT FROM ckpt_thread WHERE thread_id = 't' FOR UPDATE")
            write = asyncio.ensure_future(put(saver, config("t"), {"n": 1}, step=1))
            while len(attempts) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0)
            other.rollback()
            await write
        assert [found.metadata["step"] for found in await saver.alist(config("t"))] == [1, 0]
        assert [thread.checkpoints for thread in await saver.alist_threads()] == [2]
        assert len(await saver.alist(None, filter={"step": 1})) == 1


async def test_an_idle_connection_that_is_silent_fails_its_test_and_is_replaced(link: FaultyLink) -> None:
    # Nothing but the bound of the test itself ends it.
    an_hour: dict[str, Any] = {"attempt_seconds": 3600.0, "long_attempt_seconds": 3600.0, "retry_seconds": 3600.0}
    settings = DatabaseSettings(**an_hour, pool_ping_after_seconds=0.0)
    async with opened(link.url, settings=settings) as saver:
        await use_connections(saver, 3)
        # The one that is kept for the next batch is not idle.
        runner: Any = saver.store.runner
        await settled(runner._loop.run(runner._kept.release()))
        assert link.silence() >= 2
        assert await saver.aget_tuple(config("before")) is not None


@pytest.mark.parametrize("adopted", [False, True], ids=["own", "adopted"])
async def test_a_server_that_never_answers_is_reported(link: FaultyLink, adopted: bool) -> None:
    link.silence(new=True)
    async with opened(link.url, adopted=adopted) as saver:
        with pytest.raises(DatabaseUnavailable, match="sent nothing for 1 s"):
            await saver.aget_tuple(config("t"))
        link.silence()
        assert await saver.aget_tuple(config("t")) is None


def both_hosts(first: str, second: str) -> str:
    """A URL of two servers, in libpq's form."""
    names = [urlsplit(url).netloc.rpartition("@")[2] for url in (first, second)]
    return f"{second.replace(names[1], ','.join(names), 1)}?target_session_attrs=primary"


@pytest.mark.parametrize("adopted", [False, True], ids=["own", "adopted"])
@pytest.mark.parametrize("first", ["silent", "refuses"])
async def test_of_several_servers_one_that_is_dead_is_passed_over(server_url: str, link: FaultyLink, first: str, adopted: bool) -> None:
    with faulty_link(server_url) as dead:
        url = both_hosts(dead.url, link.url)
        if first == "silent":
            dead.silence(new=True)
        else:
            dead.close()
        if adopted:
            url = str(parse_database_url(url).render_as_string(hide_password=False))
        async with opened(url, adopted=adopted) as saver:
            await put(saver, config("t"))
            # The server that was in use goes too, and the first one is back.
            if first == "silent":
                dead.silence()
                link.silence(new=True)
                await put(saver, config("t"))
                link.silence()
            assert len(await saver.alist(config("t"))) == 1 + (first == "silent")
            await saver.adelete_thread("t")


async def test_a_silent_server_is_reported_once_retries_are_over(link: FaultyLink) -> None:
    settings = DatabaseSettings(attempt_seconds=0.5, retry_seconds=0.1)
    async with opened(link.url, settings=settings) as saver:
        await put(saver, config("t"))
        link.silence(new=True)
        with pytest.raises(DatabaseUnavailable, match="sent nothing") as caught:
            await put(saver, config("t"))
        assert caught.value.transient
        link.silence()
        await put(saver, config("t"))
        assert len(await saver.alist(config("t"))) == 2


# Without the bound they would wait for an hour: by `retry_seconds`, nothing waits longer.
@pytest.mark.parametrize("new", [False, True], ids=["open", "new"])
async def test_an_attempt_ends_with_the_time_for_retries(link: FaultyLink, new: bool) -> None:
    settings = DatabaseSettings(attempt_seconds=3600.0, long_attempt_seconds=3600.0, retry_seconds=1.0)
    async with opened(link.url, settings=settings) as saver:
        await use_connections(saver, 3)
        link.silence(new=new)
        silent = [put(saver, config("t")), saver.aget_tuple(config("before"))]
        if new:
            failed = await asyncio.gather(*silent, return_exceptions=True)
            assert [type(exc) for exc in failed] == [DatabaseUnavailable] * len(silent)
            link.silence()
        else:
            await asyncio.gather(*silent, return_exceptions=True)
        await put(saver, config("u"))


async def test_waiting_for_the_pool_ends_with_the_time_for_retries(server_url: str, postgres_url: str) -> None:
    settings = DatabaseSettings(attempt_seconds=3600.0, long_attempt_seconds=3600.0, retry_seconds=1.0, pool_size=1)
    async with opened(server_url, settings=settings) as saver:
        run = saver.store.runner.read
        await saver.aget_tuple(config("t"))
        saver.store.runner._engine.pool._timeout = 3600.0  # type: ignore[attr-defined]
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_advisory_lock(6)")

            def wait_long(db: Db) -> None:
                db.expect_long(unbounded=True)
                db.execute("SELECT pg_advisory_lock_shared(6)::text")

            holding = run(wait_long)
            with pytest.raises(DatabaseUnavailable, match="waiting for a connection of the pool") as caught:
                await saver.aget_tuple(config("t"))
            assert caught.value.transient
            admin.execute("SELECT pg_advisory_unlock(6)")
        await settled(holding)
        assert await saver.aget_tuple(config("t")) is None


@pytest.mark.parametrize("adopted", [False, True], ids=["own", "adopted"])
async def test_closing_does_not_wait_for_silent_connections(link: FaultyLink, adopted: bool) -> None:
    async with opened(link.url, adopted=adopted) as saver:
        await use_connections(saver, 5)
        link.silence(new=True)


def test_closing_in_plain_code_does_not_wait_either(link: FaultyLink) -> None:
    with SQLAlchemySaver.from_conn_string(link.url, settings=QUICK) as saver:
        made = checkpoint({"a": 1})
        saver.put(config("t"), made, metadata(), made["channel_versions"])
        link.silence(new=True)


async def test_only_work_that_expects_it_may_wait_long(server_url: str, postgres_url: str) -> None:
    settings = DatabaseSettings(attempt_seconds=0.5, long_attempt_seconds=3600.0, retry_seconds=0)
    wait = "SELECT pg_advisory_lock_shared(5)::text"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute("SELECT pg_advisory_lock(5)")

        def wait_long(db: Db, *, unbounded: bool) -> None:
            db.expect_long(unbounded=unbounded)
            db.execute(wait)

        async with opened(server_url, settings=settings) as saver:
            run = saver.store.runner.read
            await saver.aget_tuple(config("t"))
            long = [run(lambda db: wait_long(db, unbounded=False)), run(lambda db: wait_long(db, unbounded=True))]
            try:
                with pytest.raises(DatabaseUnavailable, match=r"sent nothing for 0\.5 s"):
                    await settled(run(lambda db: db.execute(wait)))
                # What nobody waits for any more was cancelled, and waits no more either.
                waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                while len(admin.execute(waiting).fetchall()) > len(long):
                    pass
                assert not any(future.done() for future in long)
            finally:
                admin.execute("SELECT pg_advisory_unlock(5)")
            for future in long:
                await settled(future)


@pytest.mark.parametrize("adopted", [False, True])
async def test_a_server_waits_longer_for_a_client_whose_work_may_take_long(server_url: str, adopted: bool) -> None:
    def seconds(db: Db, *, is_long: bool) -> int:
        if is_long:
            db.expect_long()
        with db.transaction():
            return (
                int(db.execute("SELECT setting FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'").scalar_one()) // 1000
            )

    settings = DatabaseSettings(attempt_seconds=7.0, long_attempt_seconds=70.0)
    async with opened(server_url, adopted=adopted, settings=settings) as saver:
        for is_long, expected in ((False, 7), (True, 70), (False, 7)):
            assert await settled(saver.store.runner.write(partial(seconds, is_long=is_long))) == expected
