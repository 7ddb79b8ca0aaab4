"""The example of docs/how-to/orm.md, run as it stands there, on each driver."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from ckptstore import SQLAlchemySaver
from ckptstore.models import Checkpoint
from tests.support.build import checkpoint, config, metadata
from tests.support.documents import blocks_of
from tests.support.orm import engine_on

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "orm.md"


class Base(DeclarativeBase):
    pass


class Invoice(Base):
    __tablename__ = "readme_invoice"

    number: Mapped[int] = mapped_column(primary_key=True)
    thread_id: Mapped[str]
    paid: Mapped[bool]


def example() -> str:
    """The first Python block of the page."""
    return next(block.text for block in blocks_of(PAGE) if block.language == "python")


async def run(source: str, names: dict[str, Any]) -> None:
    """Run a text that awaits outside of functions, as a notebook does."""
    code = compile(source, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)


async def fill(saver: SQLAlchemySaver) -> None:
    where = config("ann-1")
    for step in range(6):
        version = f"{step + 1:08}.a"
        made = checkpoint({"messages": ["hello"] * (step + 1)}, {"messages": version})
        where = await saver.aput(where, made, metadata(step, user_id="ann", stage="review"), {"messages": version})
        await saver.aput_writes(where, [("messages", ["hello"])], "task")


async def test_the_example_runs(lasting_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    engine = engine_on(lasting_url)
    try:
        async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
            await fill(saver)
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with AsyncSession(engine) as session:
                session.add_all([Invoice(number=1, thread_id="ann-1", paid=False), Invoice(number=2, thread_id="ann-1", paid=True)])
                await session.commit()
            names: dict[str, Any] = {"url": engine.url, "saver": saver, "Invoice": Invoice}
            await run(example(), names)
            await names["engine"].dispose()
    finally:
        async with engine.begin() as connection:
            await connection.execute(text("DROP TABLE readme_invoice"))
        await engine.dispose()

    assert [row.metadata_["step"] for row in names["rows"]] == [5, 4, 3]
    assert [row.parent.metadata_["step"] for row in names["rows"]] == [4, 3, 2]
    assert [(invoice.number, type(found)) for invoice, found in names["reviewed"]] == [(1, Checkpoint)] * 6
    assert [len(found.channels) for found in names["thread"].checkpoints] == [1] * 6
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 6
    assert all("['messages']" in line for line in printed[:3])
    assert [line.count("hello") for line in printed[3:]] == [6, 5, 4]
