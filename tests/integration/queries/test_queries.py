"""The searches as statements: in a session of the caller's, and joined with a table of the caller's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from ckptstore import SQLAlchemySaver
from ckptstore.db.models import Checkpoint
from ckptstore.queries import has_tags, select_checkpoints, select_threads
from tests.support.orm import engine_on, fill

FILTERS: list[dict[str, Any]] = [
    {},
    {"user": "ada"},
    {"user": "ada", "step": 2},
    {"step": {"$gte": 1, "$lt": 3}, "user": "ada"},
    {"user": {"$in": ["ada", "grace", "nobody"]}},
    {"user": {"$ne": "ada"}, "kind": "chat"},
    {"deep": {"inner": [1, 2]}},
    {"deep": {"$exists": True}},
    {"user": "'; DROP TABLE ckpt_tag; --"},
]


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "invoice"

    number: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = mapped_column()


@pytest.mark.parametrize("wanted", FILTERS, ids=str)
async def test_statements_find_what_the_saver_finds(lasting_url: str, wanted: dict[str, Any]) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
        expected = [c.checkpoint["id"] for c in await saver.alist(None, filter=wanted)]
        of_thread = [c.checkpoint["id"] for c in await saver.alist({"configurable": {"thread_id": "t1"}}, filter=wanted)]
        threads = [thread.thread_id for thread in await saver.alist_threads(filter=wanted)]
    async with AsyncSession(engine_on(lasting_url)) as session:
        assert [row.checkpoint_id for row in await session.scalars(select_checkpoints(wanted))] == expected
        assert [row.checkpoint_id for row in await session.scalars(select_checkpoints(wanted, thread_id="t1"))] == of_thread
        assert [row.thread_id for row in await session.scalars(select_threads(wanted))] == threads


async def test_a_table_of_the_callers_joins_on_tags(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await fill(saver)
    engine = engine_on(lasting_url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(engine) as session:
            session.add_all([Invoice(number=1, thread_id="t1"), Invoice(number=2, thread_id="t2"), Invoice(number=3, thread_id="t9")])
            await session.flush()
            step = aliased(Checkpoint)
            joined = select(Invoice.number, step.checkpoint_id).join(step, step.thread_id == Invoice.thread_id)
            found = (await session.execute(joined.where(has_tags({"user": "ada", "step": {"$gt": 1}}, of=step)))).all()
        assert sorted(number for number, _ in found) == [1, 1]
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE invoice"))
        await engine.dispose()
