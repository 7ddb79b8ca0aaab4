"""Blob backends that fail or stop where a test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TypeVar

from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.backends.wrappers import BackendWrapper

T = TypeVar("T")


class FailingBackend(BackendWrapper):
    """A backend that fails where a test says, and works otherwise. May be told so from any thread.

    Attributes:
        calls: how often each operation was called, failures included.
    """

    def __init__(self, inner: BlobBackend) -> None:
        super().__init__(inner)
        self.calls: dict[str, int] = {}
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []

    def fail(self, operation: str, error: BaseException, *, on_call: int = 1, times: int = 1, after: bool = False) -> None:
        """Raise an error in place of an operation.

        Args:
            operation: the method's name.
            error: what to raise; any exception, a `KeyboardInterrupt` for a kill.
            on_call: the first call that fails, counted from now.
            times: how many calls fail.
            after: whether the operation takes effect first: the answer is lost, not the request.
        """
        with self._lock:
            first = self.calls.get(operation, 0) + on_call
            self._faults.append(_Fault(operation, range(first, first + times), error, after))

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        with self._lock:
            number = self.calls[operation] = self.calls.get(operation, 0) + 1
            fault = next((each for each in self._faults if each.operation == operation and number in each.numbers), None)
        if fault is None:
            return await call()
        if fault.after:
            await call()
        raise fault.error


@dataclass(frozen=True, slots=True)
class _Fault:
    operation: str
    numbers: range
    error: BaseException
    after: bool


class Pause:
    """One stop of a `PausingBackend`. Every method may be called from any thread; leaving a `with` block releases it.

    Attributes:
        reached: set when the operation has stopped; `reached.wait(timeout)` blocks a thread until then.
        key: of the object at which it stopped, once it did.
    """

    def __init__(self, operation: str, *, after: bool) -> None:
        self.operation = operation
        self.after = after
        self.reached = threading.Event()
        self.key: str | None = None
        self._end: Future[BaseException | None] = Future()

    def release(self) -> None:
        """Let the operation go on."""
        self._finish(None)

    def kill(self, error: BaseException) -> None:
        """Raise an error where the operation stopped."""
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        # Released before, or its task was cancelled.
        with suppress(InvalidStateError):
            self._end.set_result(error)

    async def stop(self, key: str | None) -> None:
        """Stop here. For the backend."""
        self.key = key
        self.reached.set()
        error = await asyncio.wrap_future(self._end)
        if error is not None:
            raise error

    def __enter__(self) -> Pause:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.release()


class PausingBackend(BackendWrapper):
    """A backend that stops at a named step until a test lets it go on: threads interleave as the test says, without a sleep.

    with backend.pause("put") as pause:
        writer = pool.submit(write_something)
        assert pause.reached.wait(10)
        collect()           # while the object is not there yet
    writer.result()
    """

    def __init__(self, inner: BlobBackend) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._pauses: list[Pause] = []

    def pause(self, operation: str, *, after: bool = False) -> Pause:
        """Stop the next call of an operation; with `after`, once it took effect. Several pauses are used in turn."""
        pause = Pause(operation, after=after)
        with self._lock:
            self._pauses.append(pause)
        return pause

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        with self._lock:
            pause = next((each for each in self._pauses if each.operation == operation), None)
            if pause is not None:
                self._pauses.remove(pause)
        if pause is None:
            return await call()
        if not pause.after:
            await pause.stop(key)
            return await call()
        result = await call()
        await pause.stop(key)
        return result
