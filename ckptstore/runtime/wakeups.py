"""Waking event loops from other threads: once for all that became ready together, where each future would wake its loop by itself.

Waking a loop is a call of the system, at which the interpreter's lock goes to the thread that was woken.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
Loop = asyncio.AbstractEventLoop
Waiter = asyncio.Future[None]

logger = logging.getLogger(__name__)


async def settled(future: Future[T]) -> T:
    """Wait for a future without ever cancelling it, or leaving its exception unread when this waiter goes away."""
    loop = asyncio.get_running_loop()
    waiter: Waiter = loop.create_future()
    future.add_done_callback(partial(_waker_of(loop).tell, waiter))
    await waiter
    return future.result()


@contextmanager
def coalesced_wakeups() -> Iterator[None]:
    """What this thread tells within wakes each loop once, at the end."""
    if _held_back.bells is not None:
        # Within another one, whose end it is.
        yield
        return
    bells = _held_back.bells = []
    try:
        yield
    finally:
        _held_back.bells = None
        for bell, loop in bells:
            bell.ring(loop)


class _LoopWaker:
    """Wakes one event loop, and knows for whom."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: list[Waiter] = []

    def tell(self, waiter: Waiter, _future: Future[Any]) -> None:
        """What a waiter waits for is there; from any thread."""
        with self._lock:
            first = not self._ready
            self._ready.append(waiter)
        if not first:
            return
        if _held_back.bells is None:
            self.ring(waiter.get_loop())
        else:
            _held_back.bells.append((self, waiter.get_loop()))

    def ring(self, loop: Loop) -> None:
        """Wake the loop."""
        try:
            loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            # The loop was closed: nobody waits there any more.
            logger.debug("waiter gone", extra={"event": "waiter_gone"})

    def _answer(self) -> None:
        with self._lock:
            ready, self._ready = self._ready, []
        for waiter in ready:
            if not waiter.done():
                waiter.set_result(None)


class _HeldBack(threading.local):
    """The bells that a thread is to ring at the end of what it tells together; None while it rings at once."""

    bells: list[tuple[_LoopWaker, Loop]] | None = None


_held_back = _HeldBack()
_bells: WeakKeyDictionary[Loop, _LoopWaker] = WeakKeyDictionary()


def _waker_of(loop: Loop) -> _LoopWaker:
    # Only a loop's own thread asks for its bell.
    bell = _bells.get(loop)
    if bell is None:
        bell = _bells[loop] = _LoopWaker()
    return bell
