"""The queue of a store that follows a move: what the seal refuses is queued again on the new database, in the order of the calls.

Nothing of it runs on the threads or loops of the callers, which may be blocked: they wait for one future of each write. Like the queue
itself, callers change what is shared by single operations; the lock is only taken on worker threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from ckptstore.errors import StoreMoved
from ckptstore.runtime.future import Future
from ckptstore.runtime.worker_threads import run_in_thread
from ckptstore.writes.attempt import WriteAttempt
from ckptstore.writes.queue import WriteQueue


class _Turn:
    """A write that was submitted before the store was on the new database."""

    __slots__ = ("at_first", "attempt", "outcome")

    def __init__(self, attempt: WriteAttempt, *, at_first: bool) -> None:
        self.attempt = attempt
        #: What its caller waits for.
        self.outcome: Future[None] = Future()
        #: Whether it is in the queue of the first database.
        self.at_first = at_first


class FollowingQueue(WriteQueue):
    """The queue of the first database, and later the way to that of the new one.

    Args:
        *args: those of `WriteQueue`, and so are `options`.
        follow: on a worker thread, sets `there`, or returns without if the seal was taken away. Its error is that of the waiting writes.
        **options: see `args`.
    """

    #: The queue of the new database, once the store uses it.
    there: WriteQueue | None = None

    def __init__(self, *args: Any, follow: Callable[[], None], **options: Any) -> None:
        self._follow = follow
        super().__init__(*args, **options)

    def _reset(self) -> None:
        super()._reset()
        self._numbers = count()
        #: In the order of the calls, by number.
        self._turns: dict[int, _Turn] = {}
        self._lock = threading.Lock()

    @property
    def depth(self) -> int:
        """See `WriteQueue.depth`."""
        waiting = sum(not turn.at_first for turn in list(self._turns.values()))
        return super().depth + waiting + (self.there.depth if self.there else 0)

    @property
    def in_flight(self) -> int:
        """See `WriteQueue.in_flight`."""
        return super().in_flight + (self.there.in_flight if self.there else 0)

    @property
    def held_bytes(self) -> int:
        """See `WriteQueue.held_bytes`."""
        return super().held_bytes + (self.there.held_bytes if self.there else 0)

    @property
    def last_write_at(self) -> float:
        """See `WriteQueue.last_write_at`."""
        return max(super().last_write_at, self.there.last_write_at) if self.there else super().last_write_at

    # --- what callers do

    def submit(self, attempt: WriteAttempt) -> Future[None]:
        """See `WriteQueue.submit`."""
        there = self.there
        if there is not None and not self._turns:
            return there.submit(attempt)
        number, turn = self._take(attempt)
        if turn.at_first:
            try:
                self._submit_at_first(number, turn)
            except BaseException:
                self._turns.pop(number, None)
                raise
        else:
            self._go_on_soon()
        return turn.outcome

    def store(self, attempt: WriteAttempt) -> Future[None] | None:
        """See `WriteQueue.store`."""
        there = self.there
        if there is not None:
            return self.submit(attempt) if self._turns else there.store(attempt)
        number, turn = self._take(attempt)
        try:
            future = super().store(attempt)
        except StoreMoved:
            self._refused(turn)
            return turn.outcome
        except BaseException:
            self._turns.pop(number, None)
            raise
        if future is None:
            self._turns.pop(number, None)
            return None
        future.add_done_callback(partial(self._ended_at_first, number, turn))
        return turn.outcome

    def run(self, work: Any, *threads: str) -> Future[Any]:
        """See `WriteQueue.run`; what the seal refuses fails with `StoreMoved`, see `FollowingStore.wherever`."""
        return super().run(work, *threads) if self.there is None else self.there.run(work, *threads)

    def abandon(self, future: Future[Any]) -> None:
        """See `WriteQueue.abandon`; a write that was queued again is stored."""
        for number, turn in list(self._turns.items()):
            if turn.outcome is future:
                self._turns.pop(number, None)
        super().abandon(future)
        if self.there is not None:
            self.there.abandon(future)

    def _take(self, attempt: WriteAttempt) -> tuple[int, _Turn]:
        number, turn = next(self._numbers), _Turn(attempt, at_first=self.there is None)
        self._turns[number] = turn
        return number, turn

    # --- following

    def _submit_at_first(self, number: int, turn: _Turn) -> None:
        super().submit(turn.attempt).add_done_callback(partial(self._ended_at_first, number, turn))

    def _ended_at_first(self, number: int, turn: _Turn, future: Future[None]) -> None:
        exc = future.exception()
        if isinstance(exc, StoreMoved):
            self._refused(turn)
            return
        self._turns.pop(number, None)
        turn.outcome.complete(None, exc)
        if self.there is not None and self._turns:
            # Later writes of its thread may wait for it.
            self._go_on_soon()

    def _refused(self, turn: _Turn) -> None:
        turn.at_first = False
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        run_in_thread(self._go_on, "ckptstore-follow")

    def _go_on(self) -> None:
        """Queue the waiting writes where the store is then."""
        with self._lock:
            exc: Exception | None = None
            try:
                self._follow()
            except Exception as found:
                exc = found
            behind: set[str] = set()
            for number, turn in sorted(self._turns.items()):
                thread_id = turn.attempt.thread_id
                if turn.at_first:
                    behind.add(thread_id)
                elif exc is not None:
                    self._turns.pop(number, None)
                    turn.outcome.set_exception(exc)
                elif thread_id not in behind:
                    self._submit_again(number, turn)

    def _submit_again(self, number: int, turn: _Turn) -> None:
        there = self.there
        try:
            if there is None:
                # The move was taken back.
                turn.at_first = True
                self._submit_at_first(number, turn)
                return
            future = there.submit(turn.attempt)
        except Exception as exc:
            self._turns.pop(number, None)
            turn.outcome.set_exception(exc)
            return
        # Only now: the next write of its thread may be submitted past it from here on.
        self._turns.pop(number, None)
        future.add_done_callback(lambda done: turn.outcome.complete(None, done.exception()))

    def close(self, seconds: float) -> None:
        """See `WriteQueue.close`."""
        super().close(seconds)
        if self.there is not None:
            self.there.close(seconds)
