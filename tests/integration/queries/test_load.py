"""From rows that a statement of the caller's found to LangGraph's tuples."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import selectinload

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import CHECKPOINT
from ckptstore.errors import BlobMissing, InvalidConfig
from ckptstore.models import Checkpoint, Thread, Write
from tests.support.build import chain, config, put
from tests.support.orm import fill


@pytest.fixture
async def saver(lasting_url: str) -> AsyncIterator[SQLAlchemySaver]:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        yield saver


async def rows_of(engine: AsyncEngine) -> list[Checkpoint]:
    async with AsyncSession(engine) as session:
        return list(await session.scalars(select(Checkpoint).order_by(Checkpoint.metadata_["step"].as_integer(), Checkpoint.thread_id)))


async def test_tuples_come_in_the_order_of_the_rows(engine: AsyncEngine, saver: SQLAlchemySaver) -> None:
    await fill(saver)
    await saver.aput_writes((await saver.alist(None, limit=1))[0].config, [("n", 7)], "task")
    by_id = {found.config["configurable"]["checkpoint_id"]: found for found in await saver.alist(None)}
    rows = await rows_of(engine)
    expected = [by_id[row.checkpoint_id] for row in rows]
    assert len(expected) == 9
    assert await saver.aload(rows) == expected
    assert await saver.aload(reversed(rows)) == expected[::-1]
    assert await saver.aload([rows[0], rows[1], rows[0]]) == [expected[0], expected[1], expected[0]]
    assert await saver.aload([]) == []
    assert saver.load(rows[:2]) == expected[:2]


async def test_one_round_trip_loads_many(engine: AsyncEngine, saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    await chain(saver, "t", 150)
    rows = await rows_of(engine)
    executed = []
    execute = Db.execute

    def counted(self: Db, text: str, arguments: Any = ()) -> Any:
        executed.append(text)
        return execute(self, text, arguments)

    monkeypatch.setattr(Db, "execute", counted)
    assert [found.checkpoint["channel_values"]["n"] for found in await saver.aload(rows)] == list(range(150))
    assert len(executed) == 1


async def test_rows_outlive_their_session(engine: AsyncEngine, saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 2)
    async with AsyncSession(engine) as session:
        rows = (await session.scalars(select(Checkpoint))).all()
        await session.commit()
        assert len(await saver.aload(rows)) == 2
    assert len(await saver.aload(rows)) == 2


async def test_rows_that_have_been_deleted_are_left_out(engine: AsyncEngine, saver: SQLAlchemySaver) -> None:
    await chain(saver, "kept", 3)
    await chain(saver, "deleted", 2)
    rows = await rows_of(engine)
    async with AsyncSession(engine) as session:
        newest = select(func.max(CHECKPOINT.c.checkpoint_id)).where(CHECKPOINT.c.thread_id == "kept").scalar_subquery()
        await session.execute(update(CHECKPOINT).where(CHECKPOINT.c.checkpoint_id == newest).values(hidden=True))
        await session.commit()
    await saver.adelete_thread("deleted")
    assert [found.checkpoint["channel_values"] for found in await saver.aload(rows)] == [{"n": 0}, {"n": 1}]


async def test_large_values_come_from_the_blob_backend(engine: AsyncEngine, lasting_url: str, tmp_path: Any) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": bytes([number]) * 200_000})
        rows = await rows_of(engine)
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        assert [found.checkpoint["channel_values"]["file"][:1] for found in await saver.aload(rows)] == [b"\0", b"\1", b"\2"]
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "elsewhere") as saver:
        with pytest.raises(BlobMissing):
            await saver.aload(rows)


async def test_what_is_no_row_is_refused(engine: AsyncEngine, saver: SQLAlchemySaver) -> None:
    (where,) = await chain(saver, "t", 1)
    await saver.aput_writes(config("t", "missing"), [("n", 7)], "task")
    async with AsyncSession(engine) as session:
        row = (await session.execute(select(Checkpoint))).one()
        write = (await session.scalars(select(Write).options(selectinload(Write.checkpoint)))).one()
        thread = (await session.scalars(select(Thread))).first()
    checkpoint = row.Checkpoint
    assert len(await saver.aload([checkpoint])) == 1
    for wrong, message in [
        ([row], "got Row; use session.scalars"),
        (row, "iterable of Checkpoint rows, got Row"),
        (checkpoint, "iterable of Checkpoint rows, got Checkpoint"),
        ([checkpoint, write.checkpoint], "got NoneType"),
        ([write], "got Write"),
        ([thread], "got Thread"),
        ([where], "got dict"),
        ("t", "got str"),
        (None, "got NoneType"),
        ([Checkpoint(thread_id="t", checkpoint_ns="", checkpoint_id="1")], "was not read from a database"),
    ]:
        with pytest.raises(InvalidConfig, match=message):
            await saver.aload(wrong)
