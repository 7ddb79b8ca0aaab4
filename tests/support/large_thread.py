"""A large thread, and the rows that each transaction of an upkeep changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
from sqlalchemy import JSON

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.tables import METADATA
from ckptstore.runtime.wakeups import settled
from tests.support.build import checkpoint, config, metadata

CHECKPOINTS = 110

# A driver of each: what they are sent is the same.
on_both = pytest.mark.parametrize("url", ["sqlite", "asyncpg"], indirect=True)
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


# The rows of the thread by table, for each kind of database, from when it was first put there: to put them again takes ten times as long.
_rows: dict[str, dict[str, list[tuple[Any, ...]]]] = {}


async def fill(saver: SQLAlchemySaver) -> None:
    """The thread "large": its checkpoints share nothing, each has five segments, two writes and some tags; a write has no checkpoint."""
    runner = saver.store.runner
    kind = runner.url.drivername
    if kind in _rows:
        # A database in memory has no tables yet.
        await saver.aget_tuple(config("large"))
        await settled(runner.write(lambda db: _insert(db, _rows[kind])))
        return
    await _put(saver)
    _rows[kind] = await settled(runner.read(_select))


def _select(db: Db) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    for table in METADATA.tables.values():
        if "thread_id" in table.columns:
            # As they are inserted: a driver of PostgreSQL's makes objects of JSON.
            cells = [f"CAST({each.name} AS TEXT)" if isinstance(each.type, JSON) else each.name for each in table.columns]
            rows = db.execute(f"SELECT {', '.join(cells)} FROM {table.name} WHERE thread_id = 'large'")
            found[table.name] = [tuple(row) for row in rows]
    return found


def _insert(db: Db, rows: dict[str, list[tuple[Any, ...]]]) -> None:
    with db.transaction():
        for name, some in rows.items():
            db.insert(METADATA.tables[name], "keep", some)


async def _put(saver: SQLAlchemySaver) -> None:
    where = config("large")
    for step in range(CHECKPOINTS):
        values = {f"c{n}": [f"{step}.{n} " * 300] for n in range(5)}
        made = checkpoint(values, dict.fromkeys(values, f"{step:05}"))
        where = await saver.aput(where, made, metadata(step, user="ann", run_id=f"run {step % 2}"), made["channel_versions"])
        await saver.aput_writes(where, [("c0", step), ("c1", [f"{step} " * 300])], "task")
    await saver.aput_writes(config("large", "never"), [("c0", 1)], "task")


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
