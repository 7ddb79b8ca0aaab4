"""The deadline of an attempt on a server: a connection whose server sends nothing for too long is closed, and what waits for it fails."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import Any

from ckptstore.db.peer import bytes_moved, end_connection
from ckptstore.db.retries import Deadline

# Near its deadline an attempt has so long nevertheless.
_LEAST_SECONDS = 1.0
# An attempt is looked at so often within its bound. A loop that was busy looks late, and then once: its own delay is not the server's.
_LOOKS = 5


class Watch:
    """Watches one attempt, from connecting to the last answer.

    A phase fails once the server was silent for so long: no byte was taken or sent, no statement was answered. While one is
    connecting, the task is cancelled; later, the connection is ended.

    Args:
        seconds: how long the server may be silent; None for ever.
        long_seconds: the same for work that may run long, see `expect_long`.
        deadline: by the monotonic clock; a phase waits no longer than until then, but for a second at least. None for none.

    Attributes:
        bound: seconds of this phase.
        expired: whether this phase was ended.
        answers: statements that were answered; the code that executes them counts them.
        host: with which server of several the next connection begins.
        hosts_tried: how many of them did not let it connect.
    """

    __slots__ = (
        "_deadline",
        "_driver_connection",
        "_ending",
        "_long_seconds",
        "_moved",
        "_seconds",
        "_silent",
        "_task",
        "_timer",
        "_waiting",
        "answers",
        "bound",
        "expired",
        "host",
        "hosts_tried",
    )

    def __init__(self, seconds: float | None, long_seconds: float | None, deadline: Deadline | None = None) -> None:
        self._seconds = self.bound = seconds
        self._deadline = deadline
        self.host = self.hosts_tried = 0
        self._waiting: asyncio.Timeout | None = None
        self._long_seconds = long_seconds
        self.answers = 0
        self.expired = False
        self._driver_connection: Any = None
        self._moved = self._silent = 0
        self._task: asyncio.Task[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    def begin(self, driver_connection: Any, seconds: float | None = None) -> None:
        """Begin a phase.

        Args:
            driver_connection: what is to be ended; None while connecting.
            seconds: a shorter bound for this phase.
        """
        self.expired = False
        if self._waiting is not None:
            self._waiting.reschedule(None)
        self._driver_connection = driver_connection
        self._task = asyncio.current_task()
        self._restart(self._limited(self._seconds if seconds is None or self._seconds is None else min(seconds, self._seconds)))

    def waiting(self) -> asyncio.Timeout:
        """Bounds what comes before the first phase, by the deadline. Raises TimeoutError then."""
        self._waiting = asyncio.timeout(self._seconds_left())
        return self._waiting

    def _seconds_left(self) -> float | None:
        # At least one second: a server that works answers within that.
        return None if self._deadline is None else max(_LEAST_SECONDS, self._deadline() - time.monotonic())

    def _limited(self, seconds: float | None) -> float | None:
        left = self._seconds_left()
        return seconds if left is None or seconds is None else min(seconds, left)

    def expect_long(self, *, unbounded: bool) -> None:
        """Allow the rest of this attempt the longer bound, or none."""
        self._restart(None if unbounded else self._long_seconds)

    @property
    def is_long(self) -> bool:
        """Whether this phase has the longer bound, or none."""
        return self._seconds is not None and (self.bound is None or self.bound > self._seconds)

    def end(self) -> None:
        """The phase is over."""
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _restart(self, seconds: float | None) -> None:
        self.end()
        self.bound = seconds
        self._silent, self._moved = 0, -1
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds / _LOOKS, self._look, seconds)

    def _look(self, seconds: float) -> None:
        moved = self.answers + (bytes_moved(self._driver_connection) if self._driver_connection is not None else 0)
        # At the first look nothing is known of what moved before.
        self._silent = self._silent + 1 if moved == self._moved or self._moved < 0 else 0
        self._moved = moved
        if self._silent < _LOOKS:
            self._timer = asyncio.get_running_loop().call_later(seconds / _LOOKS, self._look, seconds)
            return
        self._timer = None
        self.expired = True
        if self._driver_connection is not None:
            self._ending = asyncio.get_running_loop().create_task(end_connection(self._driver_connection))
        elif self._task is not None:
            self._task.cancel()


#: The watch of the attempt that runs in this context.
current_watch: ContextVar[Watch | None] = ContextVar("current_watch", default=None)
