"""Waking event loops from other threads: once for all waiters whose futures are done together, where each future would wake its loop.

Waking a loop is a system call, at which the thread that was woken gets the interpreter's lock.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from functools import partial
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ckptstore.runtime.coalesced import CoalescedCall
from ckptstore.runtime.future import Future

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop
Waiter = asyncio.Future[None]

logger = logging.getLogger(__name__)


def waiter_for(future: Future[Any]) -> Waiter:
    """What the running event loop awaits until a future is done. It never fails, and cancelling it leaves the future alone."""
    loop = asyncio.get_running_loop()
    waiter: Waiter = loop.create_future()
    waker = _wakers.get(loop)
    if waker is None:
        # Only a loop's own thread asks for its waker.
        waker = _wakers[loop] = LoopWaker()
    future.add_done_callback(partial(waker.notify, waiter))
    return waiter


async def settled(future: Future[T]) -> T:
    """Wait for a future in the running event loop, and return its result; a waiter that is cancelled leaves the future alone."""
    await waiter_for(future)
    return future.result()


class LoopWaker:
    """Wakes one event loop for the waiters whose futures are done; without a lock, since the loop may run on the main thread."""

    def __init__(self) -> None:
        self._ready: deque[Waiter] = deque()
        self._wakeup = CoalescedCall()

    def notify(self, waiter: Waiter, _future: Future[Any]) -> None:
        """The future that a waiter waits for is done; from any thread."""
        self._ready.append(waiter)
        self._wakeup.request(partial(self.wake, waiter.get_loop()))

    def wake(self, loop: Loop) -> None:
        """Wake the loop, or within `coalesced_wakeups` at its end."""
        if _deferred.wakers is not None:
            _deferred.wakers.append((self, loop))
            return
        try:
            loop.call_soon_threadsafe(self._complete)
        except RuntimeError:
            # Nobody waits there any more.
            logger.debug("a write ended after its caller's event loop was closed", extra={"event": "event_loop_closed"})

    def _complete(self) -> None:
        """Complete the waiters; on the loop."""
        self._wakeup.begun += 1
        while self._ready:
            waiter = self._ready[0]
            if not waiter.done():
                waiter.set_result(None)
            # Last: only this thread removes waiters, and an exception before this line leaves the waiter to the next call.
            self._ready.popleft()


class coalesced_wakeups:  # noqa: N801  # a context manager, named like a function
    """Within this context, futures that the current thread completes wake each loop once, at the end of the outermost context."""

    __slots__ = ("_is_outermost",)

    def __enter__(self) -> None:
        """Defer wake-ups."""
        self._is_outermost = _deferred.wakers is None
        if self._is_outermost:
            _deferred.wakers = []

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        """Wake each loop that has waiters to complete."""
        if not self._is_outermost:
            return
        wakers, _deferred.wakers = _deferred.wakers, None
        for waker, loop in wakers or ():
            waker.wake(loop)


class _Deferred(threading.local):
    """The wakers that a thread is to flush at the end of its `coalesced_wakeups`; None outside of one."""

    wakers: list[tuple[LoopWaker, Loop]] | None = None


_deferred = _Deferred()
_wakers: WeakKeyDictionary[Loop, LoopWaker] = WeakKeyDictionary()
