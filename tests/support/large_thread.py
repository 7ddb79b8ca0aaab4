"""A large thread, and the rows that each transaction of an upkeep changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from tests.support.build import checkpoint, config, metadata

CHECKPOINTS = 110

# A driver of each: what they are sent is the same.
on_both = pytest.mark.parametrize("url", ["sqlite", "asyncpg"], indirect=True)
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


async def fill(saver: SQLAlchemySaver, thread_id: str = "large") -> None:
    """A thread whose checkpoints share nothing, each with five segments, two writes and some tags, and a write without a checkpoint."""
    where = config(thread_id)
    for step in range(CHECKPOINTS):
        values = {f"c{n}": [f"{step}.{n} " * 300] for n in range(5)}
        made = checkpoint(values, dict.fromkeys(values, f"{step:05}"))
        where = await saver.aput(where, made, metadata(step, user="ann", run_id=f"run {step % 2}"), made["channel_versions"])
        await saver.aput_writes(where, [("c0", step), ("c1", [f"{step} " * 300])], "task")
    await saver.aput_writes(config(thread_id, "never"), [("c0", 1)], "task")


@contextmanager
def transactions(begun: Callable[[int], None] = lambda _number: None) -> Iterator[list[int]]:
    """The rows that each transaction inserts, changes or deletes; calls a function with the number of each as it begins."""
    changed: list[int] = []
    transaction, execute = Db.transaction, Db.execute

    @contextmanager
    def counted(db: Db) -> Iterator[None]:
        begun(len(changed))
        changed.append(0)
        with transaction(db):
            yield

    def counting(db: Db, text: str, arguments: Any = ()) -> Any:
        found = execute(db, text, arguments)
        if changed and text.startswith(("INSERT", "UPDATE", "DELETE")):
            changed[-1] += max(found.rowcount, len(found.found))
        return found

    with mock.patch.object(Db, "transaction", counted), mock.patch.object(Db, "execute", counting):
        yield changed
