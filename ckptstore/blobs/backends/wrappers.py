"""What goes round a backend: bounded parallelism and retries, each one overridden method."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_delay, wait_random_exponential

from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.errors import BlobUnavailable

T = TypeVar("T")

logger = logging.getLogger(__name__)


class BackendWrapper:
    """Hands every operation to another backend, through `around`: a subclass overrides that one.

    Args:
        inner: the backend that does the work. Closing the wrapper closes it.
    """

    def __init__(self, inner: BlobBackend) -> None:
        self.inner = inner
        self.url = inner.url

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        """Run one operation.

        Args:
            operation: the method's name; `entries` comes once for each entry, and once for the end.
            key: the object's, or None for `entries` and `close`.
            call: starts the operation on the inner backend; may be called again, except for `entries`.
        """
        return await call()

    async def put(self, key: str, data: bytes | memoryview) -> None:
        await self.around("put", key, lambda: self.inner.put(key, data))

    async def put_file(self, key: str, path: Path) -> None:
        await self.around("put_file", key, lambda: self.inner.put_file(key, path))

    async def get(self, key: str) -> bytes:
        return await self.around("get", key, lambda: self.inner.get(key))

    async def get_file(self, key: str, path: Path) -> None:
        await self.around("get_file", key, lambda: self.inner.get_file(key, path))

    async def size(self, key: str) -> int | None:
        return await self.around("size", key, lambda: self.inner.size(key))

    async def delete(self, key: str) -> None:
        await self.around("delete", key, lambda: self.inner.delete(key))

    async def entries(self) -> AsyncIterator[BlobEntry]:
        iterator = _Closing(self.inner.entries())
        async with aclosing(iterator):
            while (entry := await self.around("entries", None, iterator.next)) is not None:
                yield entry

    async def close(self) -> None:
        await self.around("close", None, self.inner.close)


class BoundedBackend(BackendWrapper):
    """No more than `max_parallel` operations at a time; a listing counts only while it fetches, not between its entries."""

    def __init__(self, inner: BlobBackend, max_parallel: int) -> None:
        super().__init__(inner)
        self._permits = asyncio.Semaphore(max_parallel)

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        async with self._permits:
            return await call()


class RetryingBackend(BackendWrapper):
    """Tries passing faults again, with growing random pauses, until `retry_seconds` have gone by.

    A listing is tried again until its first entry; a fault after that is raised, since what came cannot be taken back.
    """

    def __init__(self, inner: BlobBackend, retry_seconds: float) -> None:
        super().__init__(inner)
        self._retry_seconds = retry_seconds

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        # One of its own for each operation: tenacity keeps the state of a run in the object.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_passes),
            stop=stop_after_delay(self._retry_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            before_sleep=lambda state: self._log(operation, key, state),
            reraise=True,
        )

        async def attempt() -> T:
            return await call()

        return await retrying(attempt)

    async def entries(self) -> AsyncIterator[BlobEntry]:
        async def begin() -> tuple[_Closing, BlobEntry | None]:
            iterator = _Closing(self.inner.entries())
            return iterator, await iterator.next()

        iterator, entry = await self.around("entries", None, begin)
        async with aclosing(iterator):
            while entry is not None:
                yield entry
                entry = await iterator.next()

    def _log(self, operation: str, key: str | None, state: RetryCallState) -> None:
        error = None if state.outcome is None else state.outcome.exception()
        logger.warning(
            "%s failed, attempt %d; trying again: %s", operation, state.attempt_number, error,
            extra={"event": "blob_retry", "operation": operation, "key": key, "attempt": state.attempt_number},
        )  # fmt: skip


class _Closing:
    """An iterator of entries that ends with None, and that can be closed whether or not it is a generator."""

    def __init__(self, entries: AsyncIterator[BlobEntry]) -> None:
        self._entries = entries

    async def next(self) -> BlobEntry | None:
        return await anext(self._entries, None)

    async def aclose(self) -> None:
        if close := getattr(self._entries, "aclose", None):
            await close()


def _passes(exc: BaseException) -> bool:
    return isinstance(exc, BlobUnavailable) and exc.transient
