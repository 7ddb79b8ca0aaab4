"""A user's own engine, and checkpoints to find with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from tests.support.build import chain


def engine_on(url: str) -> Any:
    parsed = parse_database_url(url)
    drivername = "sqlite+aiosqlite" if parsed.get_backend_name() == "sqlite" else parsed.drivername
    return create_async_engine(parsed.set(drivername=drivername), poolclass=NullPool)


async def fill(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t1", 4, user="ada", kind="chat", deep={"inner": [1, 2, 3]})
    await chain(saver, "t2", 3, user="grace", kind="chat", deep={"inner": [1]})
    await chain(saver, "t3", 2, user="ada", kind="batch")
