"""Work and forks exclude each other: a fork waits until the work that runs has ended, and work that begins waits for the fork."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar
from weakref import ref

T = TypeVar("T")

# What a caller runs on its own thread is short. One that is left over belongs to a caller that was interrupted twice.
_MAX_CALLER_SECONDS = 5.0


class Forking(Exception):
    """The process forks just now."""


class _Claim:
    """Held by a call: where the call was interrupted, its claim ends with its frame."""

    __slots__ = ("__weakref__",)


class ForkGuard:
    """Knows what runs. Worker threads take a lock, callers do not: they may be interrupted at any bytecode."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._resumed = threading.Condition(self._lock)
        self._running = 0
        self._forking = False
        #: The claims of callers that run something, by identity.
        self._claims: dict[int, ref[_Claim]] = {}
        self._ended: SimpleQueue[None] = SimpleQueue()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function, on a worker thread; if the process forks, afterwards."""
        with self._lock:
            while self._forking:
                self._resumed.wait()
            self._running += 1
        try:
            return function(*args)
        finally:
            with self._lock:
                self._running -= 1
                if self._forking:
                    self._resumed.notify_all()

    def run_on_caller(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function that takes a moment, on the thread of a caller.

        Raises:
            Forking: the process forks.
        """
        claim = _Claim()
        try:
            self._claims[id(claim)] = ref(claim)
            if self._forking:
                raise Forking
            return function(*args)
        finally:
            self._claims.pop(id(claim), None)
            if self._forking:
                self._ended.put(None)

    def begin_fork(self) -> None:
        """Let nothing begin, and wait until nothing runs."""
        with self._lock:
            self._forking = True
            self._resumed.wait_for(lambda: self._running == 0)
        until = monotonic() + _MAX_CALLER_SECONDS
        while any(claim() is not None for claim in [*self._claims.values()]) and (left := until - monotonic()) > 0:
            with suppress(Empty):
                self._ended.get(timeout=left)
        self._claims.clear()

    def end_fork(self) -> None:
        """Resume work, in the parent."""
        with self._lock:
            self._forking = False
            self._resumed.notify_all()
