"""One way in: the constructor runs whatever a saver is made from, and refuses what is no engine at once."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Unpack

import pytest
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ckptstore import SaverOptions, SQLAlchemySaver, TagKeys
from ckptstore.langgraph.database import OwnDatabase
from tests.support.build import config, put


class TenantSaver(SQLAlchemySaver):
    """A user's subclass with an argument of its own."""

    def __init__(self, engine: AsyncEngine | OwnDatabase, *, tenant: str, **options: Unpack[SaverOptions]) -> None:
        super().__init__(engine, **options)
        self.tenant = tenant


async def test_a_subclass_has_its_own_arguments_whatever_it_is_made_from(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    keys = TagKeys(include=("source",))
    from_url: Any = TenantSaver.from_conn_string
    async with from_url(path, tenant="a", tag_keys=keys) as saver:
        assert (type(saver), saver.tenant, saver.tag_keys) == (TenantSaver, "a", keys)
        stored = await put(saver, config("t"))
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", poolclass=NullPool)
    async with TenantSaver(engine, tenant="b", tag_keys=keys) as saver:
        assert saver.tenant == "b"
        assert await saver.aget_tuple(stored) is not None


async def test_a_url_object_is_a_connection_string(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(make_url(f"sqlite:///{tmp_path}/c.sqlite")) as saver:
        await put(saver, config("t"))
    assert (tmp_path / "c.sqlite").exists()


async def test_a_blob_that_is_put_and_not_awaited_warns(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        with pytest.warns(RuntimeWarning, match=r"operation 'blobs\.put' was never awaited"):
            saver.blobs.put(b"content")
        with pytest.warns(RuntimeWarning, match="operation 'setup' was never awaited"):
            saver.setup()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await saver.setup()
            assert await saver.blobs.get(await saver.blobs.put(b"content")) == b"content"
            # A listing is an iterable: one that nobody iterates over is no mistake.
            saver.alist(None)


def test_setup_in_plain_code_runs_at_once(tmp_path: Path) -> None:
    with warnings.catch_warnings(), SQLAlchemySaver.from_conn_string(tmp_path / "c.sqlite") as saver:
        warnings.simplefilter("error")
        saver.setup()
        assert (tmp_path / "c.sqlite").exists()
