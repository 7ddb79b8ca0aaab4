"""Futures whose waiters may be interrupted at any bytecode.

`concurrent.futures.Future` takes a lock on the thread that waits. A KeyboardInterrupt, or another exception of a signal handler, between
taking it and releasing it leaves it locked, and the worker thread that completes the future hangs for ever. Here no thread takes a lock:
what several threads share changes by single operations of built-in types, which an exception precedes or follows but never divides.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from ckptstore.errors import own

T = TypeVar("T")

logger = logging.getLogger(__name__)


class Future(Generic[T]):
    """A result that another thread sets. The first outcome counts: what closing has failed may still get a result, which is dropped.

    Args:
        on_done: called by the thread that completes it, before later callbacks; None for nothing.
    """

    __slots__ = ("_callbacks", "_outcome")

    def __init__(self, on_done: Callable[[Future[T]], object] | None = None) -> None:
        #: Empty, or the result and the exception; a dict, because `setdefault` decides between two threads.
        self._outcome: dict[str, tuple[Any, BaseException | None]] = {}
        self._callbacks: deque[Callable[[Future[T]], object]] = deque()
        if on_done is not None:
            self._callbacks.append(on_done)

    # --- waiting

    def done(self) -> bool:
        """Whether it has a result or an exception."""
        return bool(self._outcome)

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Args:
            timeout: how many seconds to wait; None for as long as it takes.

        Raises:
            TimeoutError: it was not done in time.
        """
        if not self._outcome:
            self._wait(timeout)
        result, exc = self._outcome["is"]
        if exc is None:
            found: T = result
            return found
        try:
            raise own(exc)
        finally:
            # The exception refers to this frame: without a reference back, both are freed at once.
            del exc, self

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the exception; None if there is a result. Raises like `result` if it is not done in time."""
        if not self._outcome:
            self._wait(timeout)
        return self._outcome["is"][1]

    def _wait(self, timeout: float | None) -> None:
        done: SimpleQueue[Future[T]] = SimpleQueue()
        self.add_done_callback(done.put)
        try:
            done.get(timeout=timeout)
        except Empty:
            self._remove(done.put)
            raise TimeoutError from None

    def add_done_callback(self, callback: Callable[[Future[T]], object]) -> None:
        """Call a function with this future once it is done: at once, or on the thread that completes it."""
        self._callbacks.append(callback)
        # If it was completed meanwhile, either that thread finds the callback, or this one removes it: never both.
        if self._outcome and self._remove(callback):
            callback(self)

    def _remove(self, callback: Callable[[Future[T]], object]) -> bool:
        try:
            self._callbacks.remove(callback)
        except ValueError:
            return False
        return True

    # --- completing

    def set_result(self, result: T) -> None:
        """Complete it with a result, see `complete`."""
        self.complete(result, None)

    def set_exception(self, exc: BaseException) -> None:
        """Complete it with an exception, see `complete`."""
        self.complete(None, exc)

    def complete(self, result: T | None, exc: BaseException | None) -> None:
        """Complete it with a result, or with an exception if there is one; on a worker thread if callers wait."""
        outcome = result, exc
        if self._outcome.setdefault("is", outcome) is not outcome:
            return
        while self._callbacks:
            try:
                callback = self._callbacks.popleft()
            except IndexError:
                return
            try:
                callback(self)
            except Exception:
                logger.exception("a callback of a future failed", extra={"event": "callback_failed"})
