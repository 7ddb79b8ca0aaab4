"""Work on an event loop: on an engine of the caller's, on both sides of a fork, and on few connections of a server."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import warnings
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.errors import StoreClosed
from tests.support.build import chain, config


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*")
def test_both_sides_of_a_fork_continue_with_a_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    saver = SQLAlchemySaver(engine)
    asyncio.run(chain(saver, "parent", 3))

    def child() -> None:
        open_files = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
        if any(name.startswith(str(path)) for name in open_files):
            os._exit(3)
        asyncio.run(chain(saver, "child", 3))
        saver.close()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    asyncio.run(chain(saver, "parent", 1))
    process.join()
    assert process.exitcode == 0
    assert len(list(saver.list(config("parent")))) == 4
    assert len(list(saver.list(config("child")))) == 3
    saver.close()
    asyncio.run(engine.dispose())


async def test_many_writers_behind_the_callers_engine_never_meet_a_lock(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'c.sqlite'}", connect_args={"timeout": 0})
    async with SQLAlchemySaver(engine) as saver:
        await asyncio.gather(*[chain(saver, f"t{n}", 3) for n in range(20)], *[saver.adelete_thread("none") for _ in range(20)])
        assert len(await saver.alist(None)) == 60
    await engine.dispose()


async def test_work_for_a_runner_that_was_closed_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'c.sqlite'}")
    saver = SQLAlchemySaver(engine)
    await chain(saver, "t", 1)
    await saver.aclose()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(StoreClosed):
            saver.store.runner.read(lambda _db: None)
        gc.collect()
    # Such as a coroutine that was never awaited.
    assert [str(each.message) for each in caught] == []
    await engine.dispose()


@pytest.mark.parametrize("lasting_url", ["asyncpg", "psycopg"], indirect=True)
async def test_what_is_done_one_after_the_other_shares_a_connection(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 2)
        assert len(await saver.alist(config("t"))) == 2
        await saver.acopy_thread("t", "copy")
        assert (await saver.averify()).ok
        await saver.aprune(["t"])
        await saver.adelete_thread("copy")
        use = saver.store.runner.pool_use()
        assert (use.in_use, use.idle) == (0, 1)
