"""Fault injection: wrappers that make chosen calls of a blob backend fail or pause."""

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
    """A wrapper that makes chosen calls fail. `fail` may be called from any thread.

    Args:
        inner: the backend that handles all other calls.

    Attributes:
        calls: how often each operation was called, including the calls that failed.
    """

    def __init__(self, inner: BlobBackend) -> None:
        super().__init__(inner)
        self.calls: dict[str, int] = {}
        self._lock = threading.Lock()
        self._faults: list[_Fault] = []

    def fail(self, operation: str, error: BaseException, *, on_call: int = 1, times: int = 1, after: bool = False) -> None:
        """Make calls of an operation raise an error.

        Args:
            operation: the name of the method.
            error: any exception; a `KeyboardInterrupt` simulates a killed process.
            on_call: the first call that fails, counted from now.
            times: how many calls in a row fail.
            after: whether the operation takes effect before the error is raised, like a response that was lost.
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
    """One pause of a `PausingBackend`. Its methods may be called from any thread. At the end of a `with` block it is released.

    Attributes:
        reached: set when the operation pauses; `reached.wait(timeout)` blocks a thread until then.
        key: the key of the object whose operation paused; None until then.
    """

    def __init__(self, operation: str, *, after: bool) -> None:
        self.operation = operation
        self.after = after
        self.reached = threading.Event()
        self.key: str | None = None
        self._end: Future[BaseException | None] = Future()

    def release(self) -> None:
        """Let the operation continue."""
        self._finish(None)

    def kill(self, error: BaseException) -> None:
        """Let the operation raise an error where it paused."""
        self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        # It was released before, or the paused task was cancelled.
        with suppress(InvalidStateError):
            self._end.set_result(error)

    async def wait(self, key: str | None) -> None:
        """Pause until `release` or `kill` is called. `PausingBackend` calls it."""
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
    """A wrapper that pauses chosen calls until the test continues them, so that a test can interleave threads without sleeping.

        with backend.pause("put") as pause:
            writer = pool.submit(write_something)
            assert pause.reached.wait(10)
            collect()  # while the object does not exist yet
        writer.result()

    Args:
        inner: the backend that executes the calls.
    """

    def __init__(self, inner: BlobBackend) -> None:
        super().__init__(inner)
        self._lock = threading.Lock()
        self._pauses: list[Pause] = []

    def pause(self, operation: str, *, after: bool = False) -> Pause:
        """Pause the next call of an operation, with `after` once it took effect. Several pauses apply to successive calls."""
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
            await pause.wait(key)
            return await call()
        result = await call()
        await pause.wait(key)
        return result
