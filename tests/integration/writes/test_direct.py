"""Synchronous puts on a SQLite file are stored by their callers, and in the queue where that is not possible."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.settings import DatabaseSettings
from ckptstore.writes import commit_sqlite
from ckptstore.writes.entry import QueueEntry
from tests.support.build import checkpoint, config, metadata


@pytest.fixture
def saver(tmp_path: Path) -> Iterator[SQLAlchemySaver]:
    settings = DatabaseSettings(busy_timeout_seconds=0.01)
    with SQLAlchemySaver.from_conn_string(str(tmp_path / "c.sqlite"), settings=settings) as saver:
        yield saver


@pytest.fixture
def stored_by(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The OS threads that executed the one statement of a write, in order."""
    threads: list[int] = []
    insert = commit_sqlite.insert

    def noted(*args: Any, **more: Any) -> bool:
        threads.append(threading.get_ident())
        return insert(*args, **more)

    monkeypatch.setattr(commit_sqlite, "insert", noted)
    return threads


def put(saver: SQLAlchemySaver, n: int, **parts: Any) -> dict[str, Any]:
    made = checkpoint({"n": n, "lines": ["a" * 600]}, **parts)
    saver.put(config("t"), made, metadata(n), made["channel_versions"])
    return dict(made)


def test_a_lone_callers_writes_are_stored_on_its_thread(saver: SQLAlchemySaver, stored_by: list[int]) -> None:
    put(saver, 1)
    made = put(saver, 2)
    saver.put_writes(config("t", made["id"]), [("n", 3)], "task")
    here = threading.get_ident()
    # The check of the schema has opened the connection.
    assert stored_by == [here] * 3
    found = saver.get_tuple(config("t"))
    assert found is not None
    assert (found.checkpoint["channel_values"], found.pending_writes) == ({"n": 2, "lines": ["a" * 600]}, [("task", "n", 3)])


def test_a_checkpoint_that_exists_is_replaced_by_the_worker_thread(saver: SQLAlchemySaver, stored_by: list[int]) -> None:
    made = put(saver, 1)
    put(saver, 2, id=made["id"])
    here = threading.get_ident()
    assert [thread == here for thread in stored_by] == [True, True, False]
    [found] = saver.list(config("t"))
    assert (found.checkpoint["channel_values"]["n"], next(saver.list_threads()).checkpoints) == (2, 1)


def test_a_write_waits_in_the_queue_for_another_processs_lock(saver: SQLAlchemySaver, stored_by: list[int], tmp_path: Path) -> None:
    put(saver, 1)
    with closing(sqlite3.connect(tmp_path / "c.sqlite", isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=put, args=(saver, 2))
        waiting.start()
        while len(stored_by) < 3:
            waiting.join(0.001)
        other.execute("COMMIT")
        waiting.join(30)
    # By the caller, who waits for a moment, and then by the worker thread, which waits.
    assert stored_by[1] == waiting.ident
    assert stored_by[2] not in (waiting.ident, threading.get_ident())
    assert len(list(saver.list(config("t")))) == 2


def test_a_connection_has_triggers_for_the_parts_that_its_batches_had(saver: SQLAlchemySaver) -> None:
    # The first write on a connection needs none.
    put(saver, 0)
    put(saver, 1)
    runner: Any = saver.store.runner
    [db] = runner._connections.writers
    first = set(db.kept["ckpt_batch"])
    assert {"checkpoints", "channels", "tags", "threads"} <= first
    assert "kept_writes" not in first
    made = put(saver, 2)
    saver.put_writes(config("t", made["id"]), [("n", 3)], "task")
    assert db.kept["ckpt_batch"] > first
    names = db.execute("SELECT name FROM sqlite_temp_master WHERE type = 'trigger'").all()
    assert {name.removeprefix("ckpt_batch_") for (name,) in names} == db.kept["ckpt_batch"]
    found = saver.get_tuple(config("t"))
    assert found is not None
    assert found.pending_writes == [("task", "n", 3)]


def test_the_time_for_retries_begins_before_the_caller_waits_for_a_lock(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    put(saver, 1)
    queue = saver.store._queue
    waited: list[float] = []
    entered: list[float] = []
    enter = queue._enter

    def wait(_write: Any) -> bool:
        waited.append(time.monotonic())
        return False

    def note(entry: QueueEntry) -> Any:
        future = enter(entry)
        entered.append(entry.waiting_since)
        return future

    monkeypatch.setattr(queue._committer.direct, "store", wait)
    monkeypatch.setattr(queue, "_enter", note)
    put(saver, 2)
    assert 0 < entered[0] <= waited[0]
