"""An event loop on a worker thread of its own, for async libraries that synchronous and asynchronous callers share."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from functools import partial
from typing import Any, TypeVar, cast

from ckptstore.errors import StoreClosed
from ckptstore.runtime import carried
from ckptstore.runtime.future import Future
from ckptstore.runtime.worker_threads import start_thread

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How long tasks may take to end once they were cancelled, and the loop to stop.
_STOP_SECONDS = 1.0


def selector_loop() -> asyncio.AbstractEventLoop:
    """A new event loop that can watch sockets. The default one of Windows, the ProactorEventLoop, can't, so psycopg refuses it."""
    loop = asyncio.new_event_loop()
    if type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader:
        return loop
    loop.close()
    return asyncio.SelectorEventLoop()


class LoopThread:
    """Runs functions and coroutines; the worker thread starts with the first one. Callers may be interrupted anywhere, see `future`.

    Args:
        name: the worker thread's name, for debuggers and logs.
        new_loop: makes the loop; by default of the platform's kind.
    """

    def __init__(self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._name = name
        self._new_loop = new_loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id: int | None = None
        #: Whichever worker thread takes this item runs the loop, or closes one that never ran.
        self._permit: deque[None] = deque([None])
        self._started, self._stopped = threading.Event(), threading.Event()
        #: Functions that the loop is to call.
        self._inbox: deque[Callable[[], object]] = deque()
        self._refusal: str | None = None
        self._closing = False
        #: For each task: its coroutine, and what receives the result.
        self._running: dict[asyncio.Task[None], tuple[Coroutine[Any, Any, Any], Future[Any]]] = {}
        #: The last task, which waits for the others; set on the loop.
        self._finisher: asyncio.Task[Any] | None = None
        self._finishing = False

    # --- running

    def run(self, coroutine: Coroutine[Any, Any, T], on_done: Callable[[Future[T]], object] | None = None) -> Future[T]:
        """Start a coroutine.

        Args:
            coroutine: the coroutine.
            on_done: called on the loop with the future, before any other callback.

        Returns:
            The future that receives the result.

        Raises:
            StoreClosed: `refuse` or `close` was called.
        """
        future = Future(on_done)
        context = None if carried.capture is None else carried.capture()
        try:
            if threading.get_ident() == self._thread_id and self._refusal is None:
                self._begin(coroutine, future, context)
            else:
                self.call_soon(partial(self._begin, coroutine, future, context))
        except StoreClosed:
            coroutine.close()
            raise
        return future

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function on the loop, after those that the same thread passed before.

        Raises:
            StoreClosed: `refuse` or `close` was called.
        """
        if self._refusal is not None:
            raise StoreClosed(self._refusal)
        loop = self._loop
        if loop is not None and threading.get_ident() == self._thread_id:
            # It is awake.
            loop.call_soon(function)
            return
        self._inbox.append(function)
        if loop is None:
            start_thread(self._run_loop, self._name)
        else:
            try:
                loop.call_soon_threadsafe(self._take_inbox)
            except RuntimeError:
                # Closed since.
                self._refusal = self._refusal or str(StoreClosed())
        if self._refusal is not None and self._withdraw(function):
            raise StoreClosed(self._refusal)

    def _withdraw(self, function: Callable[[], object]) -> bool:
        """Remove a function that the loop has not taken; False if it has."""
        try:
            self._inbox.remove(function)
        except ValueError:
            return False
        return True

    def _run_loop(self) -> None:
        try:
            self._permit.pop()
        except IndexError:
            return
        self._loop = loop = self._new_loop()
        self._thread_id = threading.get_ident()
        self._started.set()
        loop.call_soon(self._take_inbox)
        try:
            loop.run_forever()
        finally:
            loop.close()
            self._stopped.set()

    def _take_inbox(self) -> None:
        while self._inbox:
            try:
                function = self._inbox.popleft()
            except IndexError:
                return
            function()

    def _begin(self, coroutine: Coroutine[Any, Any, T], future: Future[T], context: Context | None) -> None:
        assert self._loop is not None
        if self._finishing:
            coroutine.close()
            future.set_exception(StoreClosed())
            return
        self._running[self._loop.create_task(self._settle(coroutine, future), context=context)] = coroutine, future

    async def _settle(self, coroutine: Coroutine[Any, Any, T], future: Future[T]) -> None:
        """Complete a future with a coroutine's result. A task's own callbacks would be called later, after a look at all sockets."""
        try:
            future.set_result(await coroutine)
        except asyncio.CancelledError:
            future.set_exception(_cancelled())
        except BaseException as exc:
            future.set_exception(exc)
        finally:
            del self._running[cast("asyncio.Task[None]", asyncio.current_task())]
            # An exception refers to this frame: without a reference back to the future, both are freed at once.
            del self, coroutine, future

    def refuse(self, why: str) -> None:
        """Make every later `run` raise `StoreClosed` with this message."""
        self._refusal = why

    # --- closing

    def close(self, last: Coroutine[Any, Any, None], seconds: float = threading.TIMEOUT_MAX) -> None:
        """Refuse new coroutines, wait for the running ones, run `last` and stop. Blocks; a second call does nothing.

        Args:
            last: runs when all others have ended.
            seconds: how long that may take; then what still runs is cancelled, and a loop that does not answer is left behind.
        """
        was_closed, self._refusal = self._closing, str(StoreClosed())
        self._closing = True
        if was_closed:
            last.close()
        elif self._permit:
            self._close_unused(last)
        else:
            self._close_used(last, time.monotonic() + seconds)

    def _close_unused(self, last: Coroutine[Any, Any, None]) -> None:
        try:
            self._permit.pop()
        except IndexError:
            self._close_used(last, time.monotonic() + _STOP_SECONDS)
            return
        last.close()
        self._finishing = True
        self._take_inbox()

    def _close_used(self, last: Coroutine[Any, Any, None], until: float) -> None:
        self._started.wait(_STOP_SECONDS)
        if self._loop is None:
            last.close()
            return
        loop = self._loop
        ended: Future[None] = Future(lambda _: loop.stop())
        loop.call_soon_threadsafe(self._begin_to_finish, last, ended)
        if not self._stopped.wait(max(0.0, until - time.monotonic())):
            loop.call_soon_threadsafe(self._cancel_tasks)
            if not self._stopped.wait(_STOP_SECONDS):
                logger.warning("the event loop %s does not answer; it is left behind", self._name, extra={"event": "loop_left_behind"})
                return
        ended.result(0)

    def _begin_to_finish(self, last: Coroutine[Any, Any, None], ended: Future[None]) -> None:
        self._finishing = True
        self._finisher = asyncio.get_running_loop().create_task(self._settle(self._finish(last), ended))
        self._running[self._finisher] = last, ended

    async def _finish(self, last: Coroutine[Any, Any, None]) -> None:
        # Each has a caller that waits for it: coroutines end before their connections are closed.
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*under_way, return_exceptions=True)
        await last

    def _cancel_tasks(self) -> None:
        """Cancel what runs; `_finish`, which waits for it, then runs `last`."""
        for task in asyncio.all_tasks(self._loop):
            if task is not self._finisher:
                task.cancel()
                if task in self._running:
                    # It may not have begun: then nothing in it is called.
                    task.add_done_callback(partial(_abandon, *self._running[task]))


def _cancelled() -> StoreClosed:
    return StoreClosed("the saver was closed before this operation ended; build another one")


def _abandon(coroutine: Coroutine[Any, Any, Any], future: Future[Any], _task: asyncio.Task[None]) -> None:
    coroutine.close()
    future.set_exception(_cancelled())
