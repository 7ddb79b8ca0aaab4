"""Operations that are written once for plain code and for event loops: generators that yield the futures they wait for.

`drive` runs one in a plain thread, `drive_async` in an event loop; an `Outcome` leaves the choice to whoever takes it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Steps = Generator[Future[Any], Any, T]

logger = logging.getLogger(__name__)


def _wait(future: Future[Any]) -> Any:
    return future.result()


def drive(steps: Steps[T], wait: Callable[[Future[Any]], Any] = _wait) -> T:
    """Run an operation here and now. It waits on other threads only, so a running event loop is no obstacle.

    Args:
        steps: the operation.
        wait: waits for a future, and returns what it holds.
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
    """Run an operation in this event loop. A caller that is cancelled leaves what it handed over to its end."""
    try:
        future = next(steps)
        while True:
            try:
                result = future.result() if future.done() else await _settled(future)
            except BaseException as exc:
                future = steps.throw(exc)
            else:
                future = steps.send(result)
    except StopIteration as stop:
        returned: T = stop.value
        return returned


async def _settled(future: Future[T]) -> T:
    """Wait for a future without ever cancelling it, or leaving its exception unread when this waiter goes away."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def tell() -> None:
        if not done.done():
            done.set_result(None)

    def tell_loop(_future: Future[T]) -> None:
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:
            # The loop was closed: nobody waits there any more.
            logger.debug("waiter gone", extra={"event": "waiter_gone"})

    future.add_done_callback(tell_loop)
    await done
    return future.result()


class Outcome(Generic[T]):
    """What an operation comes to: `await` it, or call `result()` in code without an event loop. Nothing happens before."""

    def __init__(self, steps: Steps[T]) -> None:
        self._steps: Steps[T] | None = steps

    def result(self) -> T:
        """Run the operation here and now. Once: a second call, or an `await`, raises RuntimeError."""
        return drive(self._take())

    def __await__(self) -> Generator[Any, None, T]:
        """Run the operation in this event loop."""
        return drive_async(self._take()).__await__()

    def _take(self) -> Steps[T]:
        steps, self._steps = self._steps, None
        if steps is None:
            raise RuntimeError("this operation was waited for before; call the method again")
        return steps
