"""Writes that their callers store themselves: only where nothing else is pending, and without blocking anybody afterwards."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ckptstore.db.connection import Db
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.direct import DirectWrites
from ckptstore.writes.entry import QueueEntry
from ckptstore.writes.pending import PendingEntries
from tests.support.attempts import task_writes

WRITE = task_writes("t", "write")


class CallersRunner:
    """A runner that calls a function where it would execute a statement."""

    def __init__(self, stores: Callable[[], bool] = lambda: True) -> None:
        self.stores = stores

    def try_write(self, _work: Callable[[Db], bool]) -> bool:
        return self.stores()


def direct_on(runner: CallersRunner, pending: PendingEntries | None = None) -> tuple[DirectWrites, list[EncodedWrite]]:
    committed: list[EncodedWrite] = []
    made: Any = DirectWrites(
        runner,  # type: ignore[arg-type]
        PendingEntries(10, 1_000) if pending is None else pending,
        lambda write, _started: committed.append(write),
    )
    return made, committed


def test_a_write_is_stored_where_nothing_is_pending_and_takes_its_turn_otherwise() -> None:
    pending = PendingEntries(10, 1_000)
    direct, committed = direct_on(CallersRunner(), pending)
    assert direct.store(WRITE)
    assert committed == [WRITE]
    entry = QueueEntry(("t",), None, None)
    pending.add(entry)
    assert not direct.store(WRITE)
    pending.remove(entry)
    assert direct.store(WRITE)


def test_what_the_runner_could_not_store_is_not_committed() -> None:
    direct, committed = direct_on(CallersRunner(lambda: False))
    assert not direct.store(WRITE)
    assert committed == []
    assert direct.current is None


def test_a_second_caller_uses_the_queue_and_the_worker_thread_waits_for_the_first() -> None:
    begun, go_on, waiting = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def store() -> bool:
        begun.set()
        assert go_on.wait(30)
        order.append("stored")
        return True

    direct, _ = direct_on(CallersRunner(store))
    first = threading.Thread(target=direct.store, args=(WRITE,))
    first.start()
    assert begun.wait(30)
    current = direct.current
    assert current is not None
    # As long as the test takes.
    current.until += 60
    assert not direct.store(WRITE)

    def wait() -> None:
        waiting.set()
        direct.wait()
        order.append("waited")

    worker = threading.Thread(target=wait)
    worker.start()
    assert waiting.wait(30)
    go_on.set()
    worker.join(30)
    first.join(30)
    assert order == ["stored", "waited"]


def test_an_interrupted_caller_holds_up_nobody() -> None:
    def interrupt() -> bool:
        raise KeyboardInterrupt

    runner = CallersRunner(interrupt)
    direct, _ = direct_on(runner)
    with pytest.raises(KeyboardInterrupt):
        direct.store(WRITE)
    assert direct.current is None
    direct.wait()
    runner.stores = lambda: True
    assert direct.store(WRITE)


def test_a_note_that_was_left_behind_ends_by_itself() -> None:
    held: list[Any] = []

    def keep() -> bool:
        held.append(direct.current)
        return True

    direct, _ = direct_on(CallersRunner(keep))
    assert direct.store(WRITE)
    [left] = held
    direct._current = lambda: left  # type: ignore[assignment]
    assert not direct.store(WRITE)
    left.until = 0.0
    assert direct.store(WRITE)
