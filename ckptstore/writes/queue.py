"""The one queue that all writes of a store go through, and group commit.

Callers reserve a place, serialise, and submit. Whatever is ready when the database is free goes in as one batch, in one
transaction; only then is anyone told. A lone write waits for nobody; among many, a batch waits a moment for company.

What holds: the units of one thread commit in the order of their reservations; a unit that can't be written fails alone;
a caller that goes away takes nothing with it; and the queue is bounded, so that callers wait and memory does not grow.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import chain
from typing import Any

from ckptstore.db.handle import Db
from ckptstore.db.runner import Runner, Work
from ckptstore.errors import DatabaseUnavailable, StoreClosed
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.wakeups import coalesced_wakeups
from ckptstore.writes.entry import Make, Payload, Unit
from ckptstore.writes.linger import GroupCommitPolicy, Wanted

#: Returns for each unit None, or why it was not stored: it is then made again, told so, in its place in the queue.
CommitBatch = Callable[[Db, Sequence[Any]], Sequence[Any]]

_LARGEST_BATCH = 500
# A PostgreSQL message ends at 1 GB, and a small write should not wait for many large ones. One unit always fits.
_LARGEST_BATCH_BYTES = 16 * 1024 * 1024


class WriteQueue:
    """Takes units from any thread and any loop, and commits them through one database."""

    def __init__(self, runner: Runner, commit_batch: CommitBatch, max_pending: int, max_held: int = 256 * 1024 * 1024) -> None:
        self._runner = runner
        self._commit_batch = commit_batch
        self._max_pending = max_pending
        self._max_held = max_held
        self._reset()
        # A child of fork inherits the queue of its parent, whose callers are not there.
        in_child(self._reset)

    def _reset(self) -> None:
        self.lock = threading.Lock()
        self._idle = threading.Condition(self.lock)
        self._joined = threading.Condition(self.lock)
        self._company = GroupCommitPolicy()
        #: The batch under way as long as others can join it, and how many it waits for.
        self._forming: list[Unit] | None = None
        self._wanted = Wanted(0, parted=False)
        self._queue: list[Unit] = []
        self._waiting: deque[Unit] = deque()
        self._busy = False
        self._closed = False
        self._held = 0
        #: When a write last went into a batch, by the monotonic clock.
        self.wrote_at = -math.inf

    @property
    def depth(self) -> int:
        """Units in the queue or waiting for room in it."""
        return len(self._queue) + len(self._waiting)

    def write(self, thread_id: str, make: Make) -> Future[Any]:
        """Serialise (`make`) and write, in the order of the calls for this thread.

        With room in the queue `make` runs here and now, else when there is room again, on another thread: it never waits for
        the caller's loop, which may itself wait, blocked, for this queue. It runs again when the batch says that what it made
        was not stored.
        """
        unit = self.reserve(thread_id, make=make)
        if not unit.waited:
            unit.fill()
            self._admit()
        return unit.future

    def run(self, work: Work[Any], *threads: str) -> Future[Any]:
        """Run a function of a connection in its place in the queue, alone; it opens its own transaction."""
        return self.reserve(*threads, work=work).future

    def reserve(self, *threads: str, make: Make | None = None, work: Work[Any] | None = None) -> Unit:
        """A place in the queue, or among those that wait for one, for a write to these threads.

        Raises:
            StoreClosed: `close` was called.
        """
        unit = Unit(self, threads, make, work)
        with self.lock:
            if self._closed:
                raise StoreClosed
            # Not past those that wait, even with room: they came first.
            if self._has_room() and not self._waiting:
                self._queue.append(unit)
            else:
                unit.waited = True
                self._waiting.append(unit)
        if work is not None:
            self.wake()
        return unit

    def _has_room(self) -> bool:
        return len(self._queue) < self._max_pending and self._held < self._max_held

    def expect(self, unit: Unit, held: int) -> None:
        """A unit's payload is on its way; it keeps so many bytes in memory until it is settled."""
        with self.lock:
            self._hold(unit, held)
            unit.promised = not unit.refused

    def accept(self, unit: Unit, payload: Payload, held: int = 0) -> None:
        """A unit's payload is there; it keeps so many bytes more in memory until it is settled."""
        # Together with the look at `refused`, or a unit could be refused and written.
        with self.lock:
            self._hold(unit, held)
            if not unit.refused:
                unit.payload = payload
            batch = self._begin()
            self._join()
        if batch:
            self._start(batch)

    def _hold(self, unit: Unit, held: int) -> None:
        unit.held += held
        self._held += held

    def forget(self, unit: Unit) -> None:
        """Take a unit that was not submitted out of the queue."""
        self.drop(unit)
        self._admit()
        self.wake()

    def drop(self, unit: Unit) -> None:
        """The same, and no more: `_admit` has to follow."""
        with self.lock:
            if unit in self._waiting:
                self._waiting.remove(unit)
            elif unit in self._queue:
                self._queue.remove(unit)
                self._held -= unit.held

    def wake(self) -> None:
        """Start a batch, unless one is under way: its end starts the next."""
        with self.lock:
            batch = self._begin()
        if batch:
            self._start(batch)

    def _begin(self) -> list[Unit]:
        """The units of a batch to start, none if one is under way; under the lock."""
        if self._busy:
            return []
        batch: list[Unit] = []
        self._take(batch)
        self._busy = bool(batch)
        if not batch:
            # The last unit that closing waits for may have failed without a batch.
            self._idle.notify_all()
        elif self._runner.may_wait and not batch[0].alone:
            self._wanted = self._company.wanted_with(_threads_of(batch))
            complete = self._wanted.parted and len(batch) >= self._wanted.units
            self._forming = None if complete else batch
        return batch

    def _join(self) -> None:
        """Let what is queued into the batch that forms, if that completes it; under the lock."""
        if self._forming is not None and len(self._forming) + len(self._queue) >= self._wanted.units:
            self._take(self._forming)
            if self._wanted.parted:
                self._forming = None
            self._joined.notify()

    def close(self) -> None:
        """Accept nothing more, and return when all that was submitted is settled.

        What was only reserved is refused: its caller may be waiting on the very loop that this call blocks.
        """
        with self.lock:
            self._closed = True
            refused = [*self._waiting, *(unit for unit in self._queue if not unit.ready and not unit.promised)]
            self._queue = [unit for unit in self._queue if unit.ready or unit.promised]
            self._waiting.clear()
            for unit in refused:
                unit.refused = True
        for unit in refused:
            unit.refuse()
        self.wake()
        with self._idle:
            self._idle.wait_for(lambda: not self._busy and not self._queue)

    def _take(self, batch: list[Unit]) -> None:
        """Fill a batch, first come first served; a unit that is not ready holds back only its own threads."""
        batch_bytes = 0
        blocked: set[str] = set()
        for unit in batch:
            batch_bytes += unit.payload.size if unit.payload is not None else 0
            if unit.payload is not None and unit.payload.blocks_thread:
                blocked.update(unit.threads)
        for unit in self._queue:
            size = unit.payload.size if unit.payload is not None else 0
            too_much = batch and (unit.alone or batch_bytes + size > _LARGEST_BATCH_BYTES)
            if not unit.ready or not blocked.isdisjoint(unit.threads) or too_much:
                blocked.update(unit.threads)
                continue
            if len(batch) >= _LARGEST_BATCH:
                break
            batch.append(unit)
            batch_bytes += size
            if unit.alone:
                break
            if unit.payload is not None and unit.payload.blocks_thread:
                blocked.update(unit.threads)
        if any(unit.payload is not None for unit in batch):
            self.wrote_at = time.monotonic()
        taken = set(map(id, batch))
        self._queue = [unit for unit in self._queue if id(unit) not in taken]

    def _admit(self) -> None:
        """Let waiting units in as long as there is room; one at a time, since what it holds is known when it was made."""
        while self._waiting:
            with self.lock:
                if not self._waiting or not self._has_room():
                    return
                unit = self._waiting.popleft()
                self._queue.append(unit)
            if unit.make is not None:
                unit.fill()

    def _start(self, batch: list[Unit]) -> None:
        try:
            future = self._runner.write(partial(self._execute, batch))
        except StoreClosed as exc:
            self._settle(batch, None, exc)
            return
        future.add_done_callback(partial(self._finished, batch))

    def _execute(self, batch: list[Unit], db: Db) -> Sequence[Any]:
        if batch[0].work is not None:
            return [batch[0].work(db)]
        self._wait_for_company(batch)
        started = time.monotonic()
        results = self._commit_batch(db, [unit.payload for unit in batch if unit.payload is not None])
        self._company.committed(_threads_of(batch), time.monotonic() - started)
        return results

    def _wait_for_company(self, batch: list[Unit]) -> None:
        """Return when the batch is complete, or has waited long enough."""
        with self.lock:
            if self._forming is batch:
                self._joined.wait_for(lambda: self._forming is None or len(batch) >= self._wanted.units, self._company.patience_seconds)
            if self._forming is batch:
                self._take(batch)
                self._forming = None

    def _finished(self, batch: list[Unit], future: Future[Sequence[Any]]) -> None:
        with self.lock:
            if self._forming is batch:
                # It failed before it ran: who joined it now would not be told.
                self._forming = None
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
        answers = list(zip(batch, results or [None] * len(batch), strict=True))
        again = [(unit, why) for unit, why in answers if why is not None and unit.make is not None]
        with self.lock:
            self._held -= sum(unit.held for unit in batch)
            for unit, _ in again:
                unit.payload, unit.promised, unit.held = None, True, 0
            self._queue = [unit for unit, _ in again] + self._queue
        # The next batch starts before anyone is told: the database need not wait for the callers' loops.
        self._next()
        with coalesced_wakeups():
            for unit, result in answers:
                if exc is not None:
                    unit.future.set_exception(exc)
                elif result is None or unit.make is None:
                    unit.future.set_result(result)
        for unit, why in again:
            unit.fill(why)
        if again:
            self._admit()
            self.wake()

    def _next(self) -> None:
        self._admit()
        with self.lock:
            self._busy = False
            batch = self._begin()
        if batch:
            self._start(batch)


def _threads_of(batch: Iterable[Unit]) -> Iterator[str]:
    return chain.from_iterable(unit.threads for unit in batch)
