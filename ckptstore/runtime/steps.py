"""Operations that are written once for synchronous and asynchronous callers: generators of futures, as psycopg's generators do.

An operation yields each `Future` that it has to wait for, gets the future's result back, and returns its own result. `Steps[T]` is an
operation that returns a `T`. What a `yield` returns is not typed, so operations annotate it: `rows: Rows = yield future`.
`drive` runs an operation in a thread, `drive_async` in an event loop; an `Outcome` leaves the choice to the caller.

Source: psycopg 3 (`psycopg/generators.py`, `psycopg/waiting.py`).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Generic, TypeVar

from ckptstore.runtime.future import Future
from ckptstore.runtime.wakeups import waiter_for
from ckptstore.runtime.worker_threads import run_in_thread

T = TypeVar("T")
Steps = Generator[Future[Any], Any, T]


def _wait(future: Future[Any]) -> Any:
    return future.result()


def drive(steps: Steps[T], wait: Callable[[Future[Any]], Any] = _wait) -> T:
    """Run an operation in this thread. It waits for worker threads only, so it can't deadlock below a running event loop.

    Args:
        steps: the operation.
        wait: waits for a future and returns its result.
    """
    try:
        future = next(steps)
        while True:
            try:
                result = wait(future)
            except BaseException as exc:
                future = steps.throw(exc)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


async def drive_async(steps: Steps[T]) -> T:
    """Run an operation in this event loop. If the caller is cancelled, futures that were submitted still run to their end."""
    try:
        future = next(steps)
        while True:
            try:
                await waiter_for(future)
                result = future.result()
            except BaseException as exc:
                future = steps.throw(exc)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


class Outcome(Generic[T]):
    """The result of an operation that has not begun: `await` it, or call `result()` in code without an event loop.

    One that is dropped without either gives a RuntimeWarning, as a coroutine does: nothing was done.

    Args:
        steps: the operation.
        name: the operation's name in the warning; None for an operation that may be dropped.
    """

    __slots__ = ("_name", "_steps")

    def __init__(self, steps: Steps[T], *, name: str | None) -> None:
        self._steps: Steps[T] | None = steps
        self._name = name

    def result(self) -> T:
        """Run the operation in this thread. Once: a second call, or an `await`, raises RuntimeError."""
        return drive(self._take())

    def __await__(self) -> Generator[Any, None, T]:
        """Run the operation in this event loop."""
        return drive_async(self._take()).__await__()

    def _take(self) -> Steps[T]:
        steps, self._steps = self._steps, None
        if steps is None:
            raise RuntimeError("this operation was awaited before; call the method again")
        return steps

    def __del__(self) -> None:
        if self._steps is not None and self._name is not None:
            message = f"operation {self._name!r} was never awaited; await it, or call its result() in code without an event loop"
            # `source`: with tracemalloc on, Python shows where the operation was created.
            warnings.warn(message, RuntimeWarning, stacklevel=2, source=self)


def done_after(seconds: float) -> Future[None]:
    """A future that is done after so many seconds."""
    return run_in_thread(partial(time.sleep, seconds), "ckptstore-timer")
