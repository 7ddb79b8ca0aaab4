"""A thread with rows of every kind that has a checksum, and statements that alter them behind the saver."""

from __future__ import annotations

from typing import Any

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from tests.support.build import checkpoint, config, metadata, put

# The first is kept in its row, compressed; the second in segments; the third is in the body.
VALUES = {"short": ["a word, and another"] * 8, "messages": [f"{number} " * 50 for number in range(100)], "n": 3}


def run(saver: SQLAlchemySaver, statement: str) -> list[tuple[Any, ...]]:
    def work(db: Db) -> list[tuple[Any, ...]]:
        result = db.connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []

    return saver.store.runner.write(work).result()


async def fill(saver: SQLAlchemySaver, thread_id: str = "t") -> None:
    first = await put(saver, config(thread_id), VALUES)
    made = checkpoint(VALUES)
    where = await saver.aput(first, made, metadata(1), {})
    await saver.aput_writes(where, [("short", ["written"] * 20), ("n", 4)], "task")
