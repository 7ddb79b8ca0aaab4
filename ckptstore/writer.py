"""The one queue that all writes of a store go through, and group commit.

Callers reserve a place, serialise, and submit. Whatever is ready when the database is free goes in as one batch, in one
transaction; only then is anyone told. Nothing waits for company: a lone write is a batch of one.

What holds: the units of one thread commit in the order of their reservations; a unit that can't be written fails alone;
a caller that goes away takes nothing with it; and the queue is bounded, so that callers wait and memory does not grow.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from sqlalchemy import Connection

from ckptstore.database import Database, Work
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.records import NewCheckpoint, NewWrites

Payload = NewCheckpoint | NewWrites
CommitBatch = Callable[[Connection, Sequence[Payload]], Sequence[Any]]

_LARGEST_BATCH = 500


class Unit:
    """One caller's write: reserved, then submitted or abandoned."""

    __slots__ = ("_refused", "_writer", "admitted", "alone", "future", "payload", "threads", "work")

    def __init__(self, writer: Writer, threads: tuple[str, ...]) -> None:
        self._writer = writer
        self.threads = threads
        #: Done as soon as the queue has room.
        self.admitted: Future[None] = Future()
        #: Done when the write is durable, or has failed.
        self.future: Future[Any] = Future()
        self.payload: Payload | None = None
        self.work: Work[Any] | None = None
        self.alone = False
        self._refused = False

    @property
    def ready(self) -> bool:
        """Whether the caller has handed over what to write."""
        return self.payload is not None or self.work is not None

    def submit(self, payload: Payload) -> Future[Any]:
        """Hand over rows; they may share a transaction with others'."""
        return self._hand_over(payload, None)

    def submit_work(self, work: Work[Any]) -> Future[Any]:
        """Hand over a function of a connection, which opens its own transaction; it runs alone."""
        self.alone = True
        return self._hand_over(None, work)

    def _hand_over(self, payload: Payload | None, work: Work[Any] | None) -> Future[Any]:
        # Together with the look at `refused`, or a unit could be refused and written.
        with self._writer.lock:
            if not self._refused:
                self.payload, self.work = payload, work
        self._writer.wake()
        return self.future

    def mark_refused(self) -> None:
        """From here on a submission changes nothing; under the writer's lock."""
        self._refused = True

    def refuse(self) -> None:
        """Fail a unit that was not submitted when the writer closed."""
        closed = StoreClosed("the saver was closed before this write was handed over; build another one")
        if not self.admitted.done():
            self.admitted.set_exception(closed)
        self.future.set_exception(closed)

    def abandon(self) -> None:
        """Give up the place in the queue; for a unit that was not submitted."""
        self._writer.forget(self)


class Writer:
    """Takes units from any thread and any loop, and commits them through one database."""

    def __init__(self, database: Database, commit_batch: CommitBatch, max_pending: int) -> None:
        self._database = database
        self._commit_batch = commit_batch
        self._max_pending = max_pending
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        # A child of fork inherits the queue of its parent, whose callers are not there.
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        self.lock = threading.Lock()
        self._idle = threading.Condition(self.lock)
        self._queue: list[Unit] = []
        self._waiting: deque[Unit] = deque()
        self._busy = False
        self._closed = False

    @property
    def depth(self) -> int:
        """Units in the queue or waiting for room in it."""
        return len(self._queue) + len(self._waiting)

    def reserve(self, *threads: str) -> Unit:
        """A place in the queue, for a write to these threads. Wait for `unit.admitted` before using memory for it.

        Raises:
            StoreClosed: `close` was called.
        """
        unit = Unit(self, threads)
        with self.lock:
            if self._closed:
                raise StoreClosed("the saver is closed; build another one")
            if len(self._queue) < self._max_pending:
                self._queue.append(unit)
                unit.admitted.set_result(None)
            else:
                self._waiting.append(unit)
        return unit

    def forget(self, unit: Unit) -> None:
        """Take a unit that was not submitted out of the queue."""
        with self.lock:
            if unit in self._waiting:
                self._waiting.remove(unit)
            elif unit in self._queue:
                self._queue.remove(unit)
            admitted = self._admit()
        _resolve(admitted)
        self.wake()

    def wake(self) -> None:
        """Start a batch, unless one is under way: its end starts the next."""
        with self.lock:
            if self._busy:
                return
            batch = self._take()
            self._busy = bool(batch)
        if batch:
            self._start(batch)

    def close(self) -> None:
        """Accept nothing more, and return when all that was submitted is settled.

        What was only reserved is refused: its caller may be waiting on the very loop that this call blocks.
        """
        with self.lock:
            self._closed = True
            refused = [*self._waiting, *(unit for unit in self._queue if not unit.ready)]
            self._queue = [unit for unit in self._queue if unit.ready]
            self._waiting.clear()
            for unit in refused:
                unit.mark_refused()
        for unit in refused:
            unit.refuse()
        self.wake()
        with self._idle:
            self._idle.wait_for(lambda: not self._busy and not self._queue)

    def _take(self) -> list[Unit]:
        """The next batch, first come first served; a unit that is not ready holds back only its own threads."""
        batch: list[Unit] = []
        blocked: set[str] = set()
        for unit in self._queue:
            if not unit.ready or not blocked.isdisjoint(unit.threads) or (batch and unit.alone):
                blocked.update(unit.threads)
                continue
            batch.append(unit)
            if unit.alone or len(batch) == _LARGEST_BATCH:
                break
            if isinstance(unit.payload, NewCheckpoint):
                # A second checkpoint may build on what the first one stores: it waits for the next batch.
                blocked.update(unit.threads)
        taken = set(map(id, batch))
        self._queue = [unit for unit in self._queue if id(unit) not in taken]
        return batch

    def _admit(self) -> list[Unit]:
        admitted = []
        while self._waiting and len(self._queue) < self._max_pending:
            unit = self._waiting.popleft()
            self._queue.append(unit)
            admitted.append(unit)
        return admitted

    def _start(self, batch: list[Unit]) -> None:
        try:
            future = self._database.write(partial(self._execute, batch))
        except StoreClosed as exc:
            self._settle(batch, None, exc)
            return
        future.add_done_callback(partial(self._finished, batch))

    def _execute(self, batch: list[Unit], connection: Connection) -> Sequence[Any]:
        if batch[0].work is not None:
            return [batch[0].work(connection)]
        return self._commit_batch(connection, [unit.payload for unit in batch if unit.payload is not None])

    def _finished(self, batch: list[Unit], future: Future[Sequence[Any]]) -> None:
        exc = future.exception()
        if exc is not None and len(batch) > 1 and not isinstance(exc, DatabaseUnavailable):
            # One of them is bad, and nothing says which: each goes again, alone, in the same order.
            for unit in batch:
                unit.alone = True
            with self.lock:
                self._queue = batch + self._queue
            self._next()
        else:
            self._settle(batch, None if exc else future.result(), exc)

    def _settle(self, batch: list[Unit], results: Sequence[Any] | None, exc: BaseException | None) -> None:
        # The next batch starts before anyone is told: the database need not wait for the callers' loops.
        self._next()
        for place, unit in enumerate(batch):
            if exc is not None:
                unit.future.set_exception(exc)
            else:
                assert results is not None
                unit.future.set_result(results[place])

    def _next(self) -> None:
        with self.lock:
            admitted = self._admit()
            batch = self._take()
            self._busy = bool(batch)
            if not self._busy:
                self._idle.notify_all()
        _resolve(admitted)
        if batch:
            self._start(batch)


def _resolve(admitted: list[Unit]) -> None:
    for unit in admitted:
        unit.admitted.set_result(None)
