"""Several processes on one database, a process that forks, and engines that somebody else owns."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db import kept_connection
from ckptstore.errors import StoreClosed
from ckptstore.runtime.wakeups import settled
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.forks import fork
from tests.support.programs import put_for_ever, put_many


def test_four_processes_on_one_database_lose_nothing(lasting_url: str) -> None:
    forks = [fork(put_many, lasting_url, str(n)) for n in range(4)]
    assert [each.everything() for each in forks] == [[250]] * 4
    assert [each.process.exitcode for each in forks] == [0] * 4
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for process in range(4):
            for n in range(25):
                listed = saver.list(config(f"{process}-{n}"))
                assert [c.checkpoint["channel_values"]["n"] for c in listed] == list(reversed(range(10)))


def test_a_killed_process_loses_nothing_that_was_acknowledged(lasting_url: str) -> None:
    killed = fork(put_for_ever, lasting_url)
    found = [killed.sent.recv() for _ in range(200)]
    killed.process.kill()
    acknowledged: dict[str, int] = dict([*found, *killed.everything()])
    assert killed.process.exitcode == -signal.SIGKILL
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for thread_id, last in acknowledged.items():
            stored = list(saver.list(config(thread_id)))
            assert [c.checkpoint["channel_values"]["n"] for c in stored] == list(reversed(range(len(stored))))
            assert len(stored) > last
            with_writes = [c.checkpoint["channel_values"]["n"] for c in stored if c.pending_writes]
            assert with_writes[-1:] == [0]
            assert max(with_writes) >= last


async def test_two_savers_that_write_to_one_thread_at_once(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as one, SQLAlchemySaver.from_conn_string(lasting_url) as other:
        where = await put(one, config("t"))
        await asyncio.gather(*[saver.aput_writes(where, [("x", n)], f"task-{n:03}") for saver in (one, other) for n in range(100)])
        await asyncio.gather(*[put(saver, config("t"), {"n": n}) for saver in (one, other) for n in range(20)])
        found = await one.aget_tuple(where)
        assert found is not None
        assert [write[2] for write in found.pending_writes or []] == list(range(100))
        assert len(await other.alist(config("t"))) == 41


def in_child(saver: SQLAlchemySaver, thread_id: str) -> None:
    asyncio.run(chain(saver, thread_id, 5))
    found = saver.get_tuple(config("parent"))
    os._exit(0 if found is not None else 3)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_a_forked_child_starts_afresh(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    saver.setup()
    asyncio.run(chain(saver, "parent", 3))
    children = [multiprocessing.get_context("fork").Process(target=in_child, args=(saver, f"child-{n}")) for n in range(2)]
    for child in children:
        child.start()
    asyncio.run(chain(saver, "parent again", 5))
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert {c.config["configurable"]["thread_id"] for c in saver.list(None)} == {"parent", "parent again", "child-0", "child-1"}
    saver.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_what_a_child_writes_outlives_its_parents_saver(lasting_url: str) -> None:
    saver = SQLAlchemySaver.from_conn_string(lasting_url)
    saver.setup()
    asyncio.run(chain(saver, "parent", 1))
    context = multiprocessing.get_context("fork")
    written, closed = context.Event(), context.Event()

    def child() -> None:
        asyncio.run(chain(saver, "first", 2))
        written.set()
        closed.wait()
        asyncio.run(chain(saver, "second", 2))
        os._exit(0)

    process = context.Process(target=child)
    process.start()
    written.wait()
    saver.close()
    closed.set()
    process.join()
    assert process.exitcode == 0
    with SQLAlchemySaver.from_conn_string(lasting_url) as again:
        assert {c.config["configurable"]["thread_id"] for c in again.list(None)} == {"parent", "first", "second"}


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_a_child_learns_that_memory_was_its_parents() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    saver = SQLAlchemySaver(engine)
    asyncio.run(chain(saver, "parent", 1))

    def child() -> None:
        try:
            saver.get_tuple(config("parent"))
        except StoreClosed as exc:
            os._exit(0 if "belongs to the process that forked" in str(exc) else 4)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
    assert saver.get_tuple(config("parent")) is not None
    saver.close()
    asyncio.run(engine.dispose())


async def test_transactions_on_an_adopted_memory_do_not_mix() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with SQLAlchemySaver(engine) as saver:
        puts = [chain(saver, f"t{n}", 3) for n in range(20)]
        reads = [saver.aget_delta_channel_history(config=config(f"t{n}"), channels=["n"]) for n in range(20)]
        await asyncio.gather(*puts, *reads)
        assert len(await saver.alist(None)) == 60
    await engine.dispose()


def test_one_saver_from_many_threads_and_loops(url: str) -> None:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        barrier = threading.Barrier(6)

        def with_a_loop(n: int) -> None:
            barrier.wait()
            asyncio.run(chain(saver, f"loop-{n}", 10))

        def without(n: int) -> None:
            barrier.wait()
            for step in range(10):
                made = checkpoint({"n": step})
                saver.put(config(f"plain-{n}"), made, metadata(step), made["channel_versions"])

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda job: job[0](job[1]), [(with_a_loop, n) for n in range(3)] + [(without, n) for n in range(3)]))
        assert len(list(saver.list(None))) == 60


async def test_synchronous_calls_beneath_a_running_loop(saver: SQLAlchemySaver) -> None:
    made = checkpoint({"a": 1})
    pending = asyncio.ensure_future(chain(saver, "async", 5))
    await asyncio.sleep(0)
    where = saver.put(config("sync"), made, metadata(), made["channel_versions"])
    saver.put_writes(where, [("a", 2)], "task")
    found = saver.get_tuple(where)
    assert found is not None
    assert found.pending_writes == [("task", "a", 2)]
    assert len(list(saver.list(config("sync")))) == 1
    saver.copy_thread("sync", "copy")
    saver.prune(["copy"])
    saver.delete_for_runs(["none"])
    saver.delete_thread("sync")
    assert len(await pending) == 5


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_engine_that_the_caller_owns_stays_the_callers(postgres_url: str, driver: str) -> None:
    engine = create_async_engine(postgres_url.replace("postgresql:", f"postgresql+{driver}:"), pool_size=2)
    async with engine.connect() as theirs, SQLAlchemySaver(engine) as saver:
        await chain(saver, "owned", 3)
        assert (await theirs.exec_driver_sql("SELECT count(*) FROM ckpt_checkpoint WHERE thread_id = 'owned'")).scalar() == 3
        await saver.adelete_thread("owned")
    async with engine.connect() as theirs:
        assert (await theirs.exec_driver_sql("SELECT 1")).scalar() == 1
    await engine.dispose()


@pytest.mark.parametrize("pool", [StaticPool, NullPool])
async def test_a_sqlite_engine_that_the_caller_owns(tmp_path: Path, pool: Any) -> None:
    path = ":memory:" if pool is StaticPool else str(tmp_path / "owned.sqlite")
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=pool)
    async with SQLAlchemySaver(engine) as saver:
        await asyncio.gather(*[chain(saver, f"t{n}", 5) for n in range(10)])
        await saver.adelete_thread("t0")
        async with engine.connect() as theirs:
            assert (await theirs.exec_driver_sql("SELECT count(*) FROM ckpt_checkpoint")).scalar() == 45
    await engine.dispose()


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_the_pool_works_in_parallel_and_holds_nothing_between_calls(
    postgres_url: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_connection, "_KEEP_SECONDS", 0)
    url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(pool_size=5)) as saver:
        await put(saver, config("pool"))
        database = saver.store.runner
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute("SELECT pg_advisory_lock(42)")
            held = [database.read(lambda db: db.connection.exec_driver_sql("SELECT pg_advisory_xact_lock(42)").all()) for _ in range(4)]
            while other.execute(waiting).fetchone() != (4,):
                assert not any(future.done() for future in held)
            # Four connections wait in the server, and the fifth still answers.
            assert await saver.aget_tuple(config("pool")) is not None
            other.execute("SELECT pg_advisory_unlock(42)")
        await asyncio.gather(*[settled(future) for future in held])
        while database._engine.pool.checkedout():  # type: ignore[attr-defined]  # noqa: ASYNC110
            # The connection that wrote last is let go a moment later.
            await asyncio.sleep(0)
        await saver.adelete_thread("pool")


def test_a_first_use_logs_nothing_of_alembic(tmp_path: Path) -> None:
    program = (
        "import logging; logging.basicConfig(level=logging.INFO)\n"
        "from ckptstore import SQLAlchemySaver\n"
        f"with SQLAlchemySaver.from_conn_string({str(tmp_path / 'c.sqlite')!r}) as saver: saver.setup()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "alembic" not in done.stderr
