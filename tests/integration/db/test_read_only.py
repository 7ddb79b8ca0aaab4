"""What a session of the caller's must not write through the models."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ckptstore.db.sql.tables import WRITE
from ckptstore.errors import CkptStoreError, ReadOnlyModel
from ckptstore.models import Channel, Checkpoint, Lease, Load, Segment, Setting, StoredObject, Tag, Thread, Write
from tests.support.orm import MISSING

METHODS = {
    Thread: ("aput", "adelete_thread"),
    Checkpoint: ("aput", "adelete_thread.*adelete_for_runs.*aprune_by"),
    Channel: ("aput", "aprune_by"),
    Segment: ("aput", "aprune_by"),
    Write: ("aput_writes", "adelete_thread.*adelete_for_runs.*aprune_by"),
    StoredObject: ("blobs.put", "acollect"),
    Tag: ("arebuild_tags", "arebuild_tags"),
    Setting: ("arebuild_tags.*arelocate_blobs", "arebuild_tags.*arelocate_blobs"),
    Lease: ("ahold", "ahold.*take_over"),
    Load: ("record_load=True", "record_load=False.*14 days"),
}


async def test_deleting_through_a_session_is_refused(engine: AsyncEngine, ids: list[str]) -> None:
    for model in (Thread, Checkpoint, Channel, Write, Tag):
        async with AsyncSession(engine) as session:
            row = (await session.scalars(select(model))).first()
            await session.delete(row)
            with pytest.raises(ReadOnlyModel, match=rf"can't delete rows of {model.__name__}.*{METHODS[model][1]}"):
                await session.commit()
    async with AsyncSession(engine) as session:
        assert len((await session.scalars(select(Checkpoint))).all()) == 6


async def test_changing_through_a_session_is_refused(engine: AsyncEngine, ids: list[str]) -> None:
    async with AsyncSession(engine) as session:
        row = (await session.scalars(select(Checkpoint).where(Checkpoint.checkpoint_id == ids[0]))).one()
        row.hidden = row.hidden
        await session.flush()
        row.metadata_ = {"user": "bob"}
        with pytest.raises(ReadOnlyModel, match=r"can't update rows of Checkpoint.*aput"):
            await session.flush()


@pytest.mark.parametrize("model", METHODS, ids=lambda model: model.__name__)
def test_adding_to_a_session_is_refused(model: type[Any]) -> None:
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        session.add(model(**{column.key: "x" for column in model.__table__.primary_key}))
        with pytest.raises(ReadOnlyModel, match=rf"can't insert rows of {model.__name__}.*{METHODS[model][0]}") as refused:
            session.flush()
        session.rollback()
    engine.dispose()
    assert isinstance(refused.value, CkptStoreError)


@pytest.mark.parametrize("model", METHODS, ids=lambda model: model.__name__)
def test_a_statement_of_the_orm_is_refused(model: type[Any]) -> None:
    name, (write, remove) = model.__name__, METHODS[model]
    column = next(iter(model.__table__.primary_key)).key
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        with pytest.raises(ReadOnlyModel, match=rf"can't delete rows of {name}.*{remove}"):
            session.execute(delete(model))
        with pytest.raises(ReadOnlyModel, match=rf"can't update rows of {name}.*{write}"):
            session.execute(update(model).values({column: "x"}))
        with pytest.raises(ReadOnlyModel, match=rf"can't insert rows of {name}.*{write}"):
            session.execute(insert(model), [{column: "x"}])
    engine.dispose()


async def test_a_statement_on_the_table_is_the_callers_own(engine: AsyncEngine, ids: list[str]) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(delete(WRITE).where(WRITE.c.checkpoint_id == MISSING))
        await session.commit()
        assert len((await session.scalars(select(Write))).all()) == 4


def test_statements_on_other_models_are_not_looked_at() -> None:
    class OtherBase(DeclarativeBase):
        pass

    class Other(OtherBase):
        __tablename__ = "other"
        number: Mapped[int] = mapped_column(primary_key=True)

    engine = create_engine("sqlite://")
    OtherBase.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(Other), [{"number": 1}, {"number": 2}])
        session.execute(update(Other).where(Other.number == 2).values(number=3))
        session.execute(delete(Other).where(Other.number == 1))
        session.execute(text("SELECT 1"))
        assert session.scalars(select(Other.number)).all() == [3]
    engine.dispose()
