"""Listings that stream: `async for` takes pages as it goes, `await` takes the whole as a list."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from ckptstore.reads.planner import CheckpointQuery
from ckptstore.reads.threads import ThreadOrder, load_threads
from ckptstore.records import CheckpointKey, LoadedCheckpoint, ThreadInfo
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.values.decode import SegmentSet, group_by_remote_bytes

T = TypeVar("T")
Pages = Callable[[], Iterator[Steps[list[T]]]]


class Listing(Generic[T]):
    """A listing that was asked for and not yet read. While its reader pauses it holds no connection and no lock.

    `async for item in listing` streams; `await listing` gives a list; `anext(listing)` goes on where the last one ended.
    """

    def __init__(self, pages: Pages[T]) -> None:
        self._pages = pages
        self._stream: AsyncIterator[T] | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        """Stream from the start, or go on with what `anext` began."""
        return self._stream or self._items()

    async def __anext__(self) -> T:
        """The next item."""
        if self._stream is None:
            self._stream = self._items()
        return await anext(self._stream)

    def __await__(self) -> Generator[Any, None, list[T]]:
        """All of it."""
        return self._all().__await__()

    async def aclose(self) -> None:
        """Stop streaming."""
        stream, self._stream = self._stream, None
        if stream is not None and hasattr(stream, "aclose"):
            await stream.aclose()

    async def _all(self) -> list[T]:
        return [item async for item in self]

    async def _items(self) -> AsyncIterator[T]:
        for page in self._pages():
            for item in await drive_async(page):
                yield item

    def __iter__(self) -> Iterator[T]:
        """The same, for code without an event loop."""
        for page in self._pages():
            yield from drive(page)


class ThreadPages:
    """One walk through the threads that have a matching checkpoint.

    Args:
        store: where they are.
        wanted: what one of a thread's checkpoints has to match; every thread where it asks for nothing.
        order_by: the order.
        limit: at most so many, or None.
        after: the last thread of an earlier walk: this one goes on after it.
    """

    def __init__(self, store: Store, wanted: Filter, order_by: ThreadOrder, limit: int | None, after: ThreadInfo | None) -> None:
        self._store = store
        self._wanted = wanted
        self._order_by = order_by
        self._left = limit
        self._after = after
        self._more = limit != 0

    def __iter__(self) -> Iterator[Steps[list[ThreadInfo]]]:
        """Operations, each of which gives some more; between them nothing is held."""
        while self._more:
            yield self._page()

    def _page(self) -> Steps[list[ThreadInfo]]:
        size = _PAGE_SIZE if self._left is None else min(self._left, _PAGE_SIZE)
        work = partial(load_threads, wanted=self._wanted, order_by=self._order_by, after=self._after, size=size)
        page = yield from self._store.read(work)
        self._more, self._after = page.more, page.last
        if self._left is not None:
            self._left -= len(page.threads)
            self._more = self._more and self._left > 0
        return page.threads


_PAGE_SIZE = 100

_GROUP_BYTES = 32 * 1024 * 1024


def load_in_order(store: Store, keys: Sequence[CheckpointKey], decode: Callable[[LoadedCheckpoint], T]) -> Steps[list[T]]:
    """The checkpoints with these keys, in this order, read in one round trip; missing ones are left out.

    Args:
        store: where they are.
        keys: a key given twice gives the same result twice.
        decode: makes the result of a checkpoint.
    """
    if not keys:
        return []
    loaded = yield from store.named(list(dict.fromkeys(keys)))
    found: dict[CheckpointKey, T] = {}
    for group in group_by_remote_bytes(loaded.result, loaded.segments, _GROUP_BYTES):
        complete = yield from store.with_objects(group, loaded.segments)
        found.update((checkpoint.key, decode(checkpoint)) for checkpoint in complete)
        loaded.segments.release_remote()
    return [found[key] for key in keys if key in found]


class CheckpointPages(Generic[T]):
    """One walk through the checkpoints that a search finds, newest first.

    Args:
        store: where they are.
        search: what restricts them.
        limit: at most so many, or None.
        decoded: what becomes of a checkpoint.
    """

    def __init__(self, store: Store, search: CheckpointQuery, limit: int | None, decoded: Callable[[LoadedCheckpoint], T]) -> None:
        self._store = store
        self._search = search
        self._left = limit
        self._decoded = decoded
        self._after: CheckpointKey | None = None
        self._more = limit != 0
        #: What was found and not yet given out.
        self._groups: deque[tuple[Sequence[LoadedCheckpoint], SegmentSet]] = deque()

    def __iter__(self) -> Iterator[Steps[list[T]]]:
        """Operations, each of which gives some more; between them nothing is held but what was found."""
        while self._more or self._groups:
            yield self._group() if self._groups else self._page()

    def _page(self) -> Steps[list[T]]:
        size = _PAGE_SIZE if self._left is None else min(self._left, _PAGE_SIZE)
        page = yield from self._store.page(self._search, self._after, size)
        self._more, self._after = page.more, page.last
        if self._left is not None:
            self._left -= len(page.checkpoints)
            self._more = self._more and self._left > 0
        self._groups.extend((group, page.segments) for group in group_by_remote_bytes(page.checkpoints, page.segments, _GROUP_BYTES))
        return (yield from self._group()) if self._groups else []

    def _group(self) -> Steps[list[T]]:
        checkpoints, segments = self._groups.popleft()
        found = yield from self._store.with_objects(checkpoints, segments)
        decoded = [self._decoded(loaded) for loaded in found]
        segments.release_remote()
        return decoded
