"""The models in a session of the caller's: relationships, and what a session must not write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, event, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, selectinload

from ckptstore import SQLAlchemySaver
from ckptstore.db.sql.tables import CHECKPOINT
from ckptstore.models import Channel, Checkpoint, Thread, Write
from tests.support.build import checkpoint, config, metadata
from tests.support.orm import A, B, engine_on

ALL = [selectinload(getattr(Checkpoint, name)) for name in ("thread", "parent", "children", "writes", "tags", "channels")]


@contextmanager
def statements(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements that an engine executes meanwhile."""
    executed: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield executed
    event.remove(engine.sync_engine, "before_cursor_execute", note)


async def test_a_checkpoint_leads_to_what_belongs_to_it(engine: AsyncEngine, ids: list[str]) -> None:
    query = select(Checkpoint).order_by(Checkpoint.checkpoint_id).options(*ALL)
    with statements(engine) as executed:
        async with AsyncSession(engine) as session:
            root, left, right, leaf, inner, other = (await session.scalars(query)).all()
    assert len([text for text in executed if text.startswith("SELECT ckpt_") or text.startswith("SELECT links")]) == 1 + len(ALL)

    assert [row.thread.thread_id for row in (root, inner, other) if row.thread] == ["t", "t", "u"]
    assert (root.parent, left.parent, right.parent, leaf.parent, inner.parent) == (None, root, root, left, None)
    assert (root.children, left.children, right.children, other.children) == ([left, right], [leaf], [], [])
    assert [(write.task_id, write.channel) for write in left.writes] == [("a", "log"), ("a", "plan"), ("b", "log"), ("b", "plan")]
    assert root.writes == []
    assert [(channel.channel, channel.version) for channel in left.channels] == [("log", B), ("plan", A)]
    assert [(channel.channel, channel.version) for channel in right.channels] == [("log", A)]
    assert right.channels[0] is root.channels[0]
    assert inner.channels[0] is not root.channels[0]
    assert [(channel.thread_id, channel.version) for channel in other.channels] == [("u", A), ("u", B)]
    assert {tag.key for tag in root.tags} >= {"user", "step", "source"}
    assert {tag.checkpoint_id for tag in root.tags} == {ids[0]}


async def test_a_thread_and_a_write_lead_to_checkpoints(engine: AsyncEngine, ids: list[str]) -> None:
    async with AsyncSession(engine) as session:
        threads = await session.scalars(select(Thread).order_by(Thread.thread_id).options(selectinload(Thread.checkpoints)))
        assert [[row.checkpoint_id for row in thread.checkpoints] for thread in threads] == [ids[4::-1], ids[5:]]
        writes = await session.scalars(select(Write).order_by(Write.task_id, Write.idx).options(selectinload(Write.checkpoint)))
        assert [write.checkpoint and write.checkpoint.checkpoint_id for write in writes] == [ids[1]] * 4 + [None] * 2


async def test_hidden_checkpoints_are_not_led_to(engine: AsyncEngine, ids: list[str]) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(update(CHECKPOINT).where(CHECKPOINT.c.checkpoint_id == ids[1]).values(hidden=True))
        await session.commit()
    async with AsyncSession(engine) as session:
        thread = await session.get(Thread, "t", options=[selectinload(Thread.checkpoints).options(*ALL)])
        assert thread is not None
        found = {row.checkpoint_id: row for row in thread.checkpoints}
        assert list(found) == [ids[4], ids[3], ids[2], ids[0]]
        assert [row.checkpoint_id for row in found[ids[0]].children] == [ids[2]]
        assert found[ids[3]].parent is None
        writes = await session.scalars(select(Write).options(selectinload(Write.checkpoint)))
        assert [write.checkpoint for write in writes] == [None] * 6


async def test_relationships_join(engine: AsyncEngine, ids: list[str]) -> None:
    async with AsyncSession(engine) as session:
        query = select(Checkpoint.checkpoint_id).join(Checkpoint.channels).where(Channel.channel == "plan", Channel.version == A)
        assert sorted(await session.scalars(query)) == ids[:2]
        query = select(Checkpoint.checkpoint_id).where(Checkpoint.writes.any(Write.task_id == "a"))
        assert list(await session.scalars(query)) == [ids[1]]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_relationships_lead_within_a_schema(postgres_url: str, driver: str) -> None:
    url = postgres_url.replace("postgresql://", f"postgresql+{driver}://", 1)
    schema = f"models_{driver}"
    async with SQLAlchemySaver.from_conn_string(url, schema=schema) as saver:
        await saver.setup()
        await saver.aput(config("t"), checkpoint({"log": ["one"]}, {"log": A}), metadata(), {"log": A})
    engine = engine_on(url)
    async with AsyncSession(engine.execution_options(schema_translate_map={None: schema})) as session:
        (found,) = await session.scalars(select(Checkpoint).options(*ALL))
        assert found.thread is not None
        assert found.thread.thread_id == "t"
        assert [channel.channel for channel in found.channels] == ["log"]
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    await engine.dispose()


def test_a_synchronous_session_loads_when_asked(tmp_path: Any) -> None:
    path = tmp_path / "checkpoints.sqlite"
    with SQLAlchemySaver.from_conn_string(path) as saver:
        where = saver.put(config("t"), checkpoint({"log": ["one"]}), metadata(), {"log": A})
        saver.put(where, checkpoint({"log": ["two"]}, {"log": B}), metadata(1), {"log": B})
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        newest, oldest = session.scalars(select(Checkpoint).order_by(Checkpoint.checkpoint_id.desc()))
        assert (newest.parent, oldest.children) == (oldest, [newest])
        assert [channel.version for channel in newest.channels] == [B]
    engine.dispose()


# --- what a session must not write ------------------------------------------------------------------------------------
