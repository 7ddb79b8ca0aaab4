"""A user's own engine, and checkpoints to find with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from tests.support.build import chain, checkpoint, config, metadata


def engine_on(url: str) -> Any:
    parsed = parse_database_url(url)
    drivername = "sqlite+aiosqlite" if parsed.get_backend_name() == "sqlite" else parsed.drivername
    return create_async_engine(parsed.set(drivername=drivername), poolclass=NullPool)


async def fill(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t1", 4, user="ada", kind="chat", deep={"inner": [1, 2, 3]})
    await chain(saver, "t2", 3, user="grace", kind="chat", deep={"inner": [1]})
    await chain(saver, "t3", 2, user="ada", kind="batch")


#: Versions, and the id of a checkpoint that does not exist.
A, B = "00000001.a", "00000002.b"
MISSING = "00000000-0000-0000-0000-00000000dead"


async def family(url: str) -> list[str]:
    """A root with two children, one of which has a child; another namespace of the thread; and another thread."""
    made = [f"00000000-0000-0000-0000-{number:012}" for number in range(6)]

    async def put(
        saver: SQLAlchemySaver, number: int, parent: int | None, versions: dict[str, str], ns: str = "", thread: str = "t"
    ) -> None:
        where = config(thread, None if parent is None else made[parent], ns)
        values = {channel: [channel, version] for channel, version in versions.items()}
        await saver.aput(where, checkpoint(values, versions, id=made[number]), metadata(number, user="ann"), dict(versions))

    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, 0, None, {"log": A, "plan": A})
        await put(saver, 1, 0, {"log": B, "plan": A})
        await put(saver, 2, 0, {"log": A})
        await put(saver, 3, 1, {"log": B})
        await put(saver, 4, None, {"log": A}, "inner:1")
        await put(saver, 5, None, {"log": A, "plan": B}, thread="u")
        for task, where in (("b", config("t", made[1])), ("a", config("t", made[1])), ("c", config("t", MISSING))):
            await saver.aput_writes(where, [("log", ["one"]), ("plan", ["two"])], task)
    return made
