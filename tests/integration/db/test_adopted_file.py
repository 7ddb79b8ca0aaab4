"""A SQLite file that is lost under an engine of the caller's: no put is acknowledged that is not in the file at its path."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseFileLost
from tests.integration.db.test_sqlite_file import LOSSES
from tests.support.build import config, put
from tests.support.databases import url_of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows deletes and replaces no open file")


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(url_of("sqlite", request, tmp_path))


@pytest.mark.parametrize("lose", LOSSES)
async def test_no_put_is_acknowledged_after_the_file_was_lost(path: Path, lose: Callable[[Path], None]) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with SQLAlchemySaver(engine) as saver:
        await put(saver, config("before"))
        lose(path)
        for _ in range(2):
            with pytest.raises(DatabaseFileLost, match=LOSSES[lose]):
                await put(saver, config("after"))
    await engine.dispose()


@pytest.mark.parametrize("options", [{"poolclass": NullPool}, {"pool_size": 1}, {"pool_size": 3}], ids=str)
@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///{path}", "sqlite+aiosqlite:///file:{path}?uri=true"])
async def test_a_pool_that_closes_its_connections_loses_nothing(path: Path, options: dict[str, Any], url: str) -> None:
    engine, away = create_async_engine(url.format(path=path), **options), path.with_suffix(".away")
    async with SQLAlchemySaver(engine) as saver:
        for number in range(5):
            where = await put(saver, config("t"), {"n": number})
            found = await saver.aget_tuple(where)
            assert found is not None
        os.rename(path, away)
        with pytest.raises(DatabaseFileLost, match="deleted or moved away"):
            await put(saver, config("t"))
        os.rename(away, path)
        await put(saver, config("t"))
        # One that was not acknowledged may be in it.
        assert 6 <= len(await saver.alist(config("t"))) <= 7
    await engine.dispose()


async def test_a_vacuum_is_no_loss(path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    async with SQLAlchemySaver(engine) as saver:
        for _ in range(20):
            await put(saver, config("t"), {"text": ["x" * 100_000]})
        await saver.adelete_thread("t")
        await saver.avacuum(full=True)
        await put(saver, config("t"))
    await engine.dispose()
