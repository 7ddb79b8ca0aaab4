"""A write queue on a stand-in for a database that a test runs by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.retries import Deadline
from ckptstore.db.runner import Work
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import StatementRefused
from ckptstore.monitoring.monitor import Monitor
from ckptstore.records import NewWrites
from ckptstore.runtime.future import Future
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.queue import WriteQueue
from tests.support.attempts import EncodedAttempt, GivenEncoder, new_checkpoint, task_writes


class ManualRunner:
    """A stand-in for a database: it records each batch, and finishes it when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.under_way: list[tuple[Future[Any], Work[Any]]] = []
        #: Names of writes that make their batch fail.
        self.poison: set[str] = set()
        #: Names of writes that are not stored, and what is missing for each.
        self.missing: dict[str, MissingParts] = {}
        self.may_wait = False
        self.monitor = Monitor()
        self.max_batches = 1
        self.abilities = Abilities()
        #: Functions that wait for their time.
        self.timers: list[Callable[[], object]] = []
        #: Of each call of `write`.
        self.deadlines: list[Deadline | None] = []

    def write(
        self, work: Work[Any], on_done: Callable[[Future[Any]], object] | None = None, deadline: Deadline | None = None
    ) -> Future[Any]:
        future: Future[Any] = Future(on_done)
        self.under_way.append((future, work))
        self.deadlines.append(deadline)
        return future

    def call_soon(self, function: Callable[[], object]) -> None:
        function()

    def call_later(self, _seconds: float, function: Callable[[], object]) -> None:
        self.timers.append(function)

    def commit(self, _db: Db, batch: Sequence[EncodedWrite], _lock_seconds: float) -> list[MissingParts | None]:
        records = [write.record for write in batch]
        names = [record.task_id if isinstance(record, NewWrites) else record.key.checkpoint_id for record in records]
        if self.poison & set(names):
            raise StatementRefused("bad write")
        self.batches.append(names)
        return [self.missing.get(name) for name in names]

    def finish_one(self) -> None:
        future, work = self.under_way.pop(0)
        try:
            result = work(None)  # type: ignore[arg-type]
        except Exception as exc:
            future.set_exception(exc)
        else:
            future.set_result(result)

    def finish_all(self) -> None:
        while self.under_way:
            self.finish_one()


def queue_on(runner: ManualRunner, max_pending: int = 100, settings: DatabaseSettings | None = None, **more: Any) -> WriteQueue:
    settings = settings or DatabaseSettings(max_pending=max_pending)
    return WriteQueue(runner, runner.commit, GivenEncoder(), settings, **more)  # type: ignore[arg-type]


def submit(queue: WriteQueue, thread_id: str, name: str, data: bytes = b"") -> Future[None]:
    return queue.submit(EncodedAttempt(thread_id, task_writes(thread_id, name, data)))


def submit_checkpoint(queue: WriteQueue, thread_id: str, name: str) -> Future[None]:
    return queue.submit(EncodedAttempt(thread_id, new_checkpoint(thread_id, name)))


def submit_later(queue: WriteQueue, thread_id: str) -> tuple[Future[None], Future[EncodedWrite]]:
    """Submit a write that is encoded elsewhere; returns its future, and the one to complete with its encoded form."""
    encoding: Future[EncodedWrite] = Future()
    return queue.submit(EncodedAttempt(thread_id, encoding, held_bytes=5_000_000)), encoding


class LateEncoding:
    """Attempts that are encoded when their turn has come, and the names of those that were."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def submit(self, queue: WriteQueue, name: str, held_bytes: int) -> Future[None]:
        def encode(_missing: MissingParts | None) -> EncodedWrite:
            self.names.append(name)
            return task_writes("t", name)

        return queue.submit(EncodedAttempt("t", encode, held_bytes=held_bytes))
