"""Wrappers around a backend, each with one overridden method: bounded parallelism and retries."""

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
from ckptstore.monitoring.monitor import Monitor

T = TypeVar("T")

logger = logging.getLogger(__name__)


class BackendWrapper:
    """Passes every operation on to another backend through `around`, the method that subclasses override.

    Args:
        inner: the wrapped backend. Closing the wrapper closes it.
    """

    def __init__(self, inner: BlobBackend) -> None:
        self.inner = inner
        self.url = inner.url

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        """Run one operation.

        Args:
            operation: the name of the method; for `entries`, `around` is called for each entry and once for the end.
            key: the object's key; None for `entries`, `delete_unfinished` and `close`.
            call: starts the operation on the inner backend; may be called again, except for `entries`.
        """
        return await call()

    async def put(self, key: str, data: bytes | memoryview) -> None:
        await self.around("put", key, lambda: self.inner.put(key, data))

    async def put_file(self, key: str, path: Path) -> None:
        await self.around("put_file", key, lambda: self.inner.put_file(key, path))

    async def get(self, key: str, max_bytes: int) -> bytes:
        return await self.around("get", key, lambda: self.inner.get(key, max_bytes))

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        await self.around("get_file", key, lambda: self.inner.get_file(key, path, max_bytes))

    async def size(self, key: str) -> int | None:
        return await self.around("size", key, lambda: self.inner.size(key))

    async def delete(self, key: str) -> None:
        await self.around("delete", key, lambda: self.inner.delete(key))

    async def entries(self) -> AsyncIterator[BlobEntry]:
        iterator = _Entries(self.inner.entries())
        async with aclosing(iterator):
            while (entry := await self.around("entries", None, iterator.next)) is not None:
                yield entry

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        return await self.around("delete_unfinished", None, lambda: self.inner.delete_unfinished(min_age_seconds, dry_run=dry_run))

    async def close(self) -> None:
        await self.around("close", None, self.inner.close)


class BoundedBackend(BackendWrapper):
    """Runs at most `max_parallel` operations at a time; a listing counts only while it fetches, not between its entries."""

    def __init__(self, inner: BlobBackend, max_parallel: int) -> None:
        super().__init__(inner)
        self._permits = asyncio.Semaphore(max_parallel)

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        async with self._permits:
            return await call()


class RetryingBackend(BackendWrapper):
    """Retries transient faults with growing random pauses for up to `retry_seconds`.

    A listing is retried only until its first entry: a later fault is raised, because the entries were handed out already.
    """

    def __init__(self, inner: BlobBackend, retry_seconds: float, monitor: Monitor | None = None) -> None:
        super().__init__(inner)
        self._retry_seconds = retry_seconds
        self._monitor = monitor or Monitor()

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        # One for each operation, because tenacity keeps the state of a run in the object.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_is_transient),
            stop=stop_after_delay(self._retry_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=2.0),
            before_sleep=lambda state: self._log(operation, key, state),
            reraise=True,
        )

        async def attempt() -> T:
            return await call()

        return await retrying(attempt)

    async def entries(self) -> AsyncIterator[BlobEntry]:
        async def begin() -> tuple[_Entries, BlobEntry | None]:
            iterator = _Entries(self.inner.entries())
            return iterator, await iterator.next()

        iterator, entry = await self.around("entries", None, begin)
        async with aclosing(iterator):
            while entry is not None:
                yield entry
                entry = await iterator.next()

    def _log(self, operation: str, key: str | None, state: RetryCallState) -> None:
        self._monitor.retried("blobs")
        error = None if state.outcome is None else state.outcome.exception()
        logger.warning(
            "%s failed (attempt %d), will retry: %s", operation, state.attempt_number, error,
            extra={"event": "blob_retry", "operation": operation, "key": key, "attempt": state.attempt_number},
        )  # fmt: skip


class _Entries:
    """An iterator of entries that ends with None and can be closed, whether or not it is a generator."""

    def __init__(self, entries: AsyncIterator[BlobEntry]) -> None:
        self._entries = entries

    async def next(self) -> BlobEntry | None:
        return await anext(self._entries, None)

    async def aclose(self) -> None:
        if close := getattr(self._entries, "aclose", None):
            await close()


def _is_transient(exc: BaseException) -> bool:
    return isinstance(exc, BlobUnavailable) and exc.transient
