"""Worker threads that take functions from a queue, for callers that may be interrupted at any bytecode.

`ThreadPoolExecutor.submit` and `Thread.start` take locks on the caller's thread, which an exception of a signal handler leaves locked.
Here the caller's thread changes what is shared by single operations of built-in types, see `future`. Signal handlers run on the main
thread only, so worker threads may take locks.
"""

from __future__ import annotations

import _thread
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import TypeVar

from ckptstore.errors import StoreClosed
from ckptstore.runtime import carried
from ckptstore.runtime.future import Future

T = TypeVar("T")

logger = logging.getLogger(__name__)


def start_thread(run: Callable[[], object], name: str) -> None:
    """Run a function on a daemon thread of this name. Safe to interrupt: a bare thread starts the named one."""
    _thread.start_new_thread(_start_named, (run, name))


def _start_named(run: Callable[[], object], name: str) -> None:
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        # The system has no thread left: this one will do.
        run()


def run_in_thread(run: Callable[[], T], name: str) -> Future[T]:
    """Run a function on a worker thread of its own; the future receives its result."""
    future: Future[T] = Future()
    start_thread(partial(_run, run, future), name)
    return future


def _run(function: Callable[[], T], future: Future[T]) -> None:
    try:
        result = function()
    except BaseException as exc:
        future.complete(None, exc)
    else:
        future.complete(result, None)


class WorkerThreads:
    """Runs functions in the order in which they are submitted, on a few threads that start when they are needed.

    Args:
        name: the threads' name, for debuggers and logs.
        max_threads: how many there are at most.
    """

    def __init__(self, name: str, max_threads: int) -> None:
        self._name = name
        self._max_threads = max_threads
        self._functions: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        #: One item for each thread that may still start; a thread takes it, not the caller, who may be interrupted before it starts one.
        self._permits: deque[None] = deque([None] * max_threads)
        #: One item for each thread that has nothing to do.
        self._idle: deque[None] = deque()
        #: One item for each thread that has ended, and a signal for `close`.
        self._ended: deque[None] = deque()
        self._has_ended: SimpleQueue[None] = SimpleQueue()
        self._used = False
        self._closed = False

    def submit(self, function: Callable[[], T], on_done: Callable[[Future[T]], object] | None = None) -> Future[T]:
        """Run a function on a worker thread.

        Args:
            function: the function.
            on_done: called on the worker thread with the future, before any other callback.

        Returns:
            The future that receives the result.

        Raises:
            StoreClosed: `close` was called.
        """
        if carried.capture is not None:
            function = carried.carrying(function)
        future = Future(on_done)
        self.call_soon(partial(_run, function, future))
        if self._closed:
            # It may have come too late to be run; if it was run, that outcome was first.
            future.set_exception(StoreClosed())
        return future

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function that raises nothing on a worker thread.

        Raises:
            StoreClosed: `close` was called.
        """
        if self._closed:
            raise StoreClosed
        self._used = True
        self._functions.put(function)
        try:
            self._idle.pop()
        except IndexError:
            if self._permits:
                start_thread(self._work, self._name)

    def _work(self) -> None:
        try:
            self._permits.pop()
        except IndexError:
            return
        while (function := self._functions.get()) is not None:
            try:
                function()
            except Exception:
                logger.exception("a function on a worker thread failed", extra={"event": "worker_failed"})
            del function
            self._idle.append(None)
        # For the other threads.
        self._functions.put(None)
        self._ended.append(None)
        self._has_ended.put(None)

    def close(self, seconds: float) -> bool:
        """Refuse new functions and wait until the submitted ones have run; on a worker thread.

        Args:
            seconds: how long to wait at most.

        Returns:
            Whether every thread has ended.
        """
        self._closed = True
        self._functions.put(None)
        if not self._used:
            return True
        if len(self._permits) == self._max_threads:
            # The caller that submitted the first function was interrupted before it started a worker thread.
            start_thread(self._work, self._name)
        until = time.monotonic() + seconds
        while len(self._ended) < max(1, self._max_threads - len(self._permits)):
            try:
                self._has_ended.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return False
        return True
