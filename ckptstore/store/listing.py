"""Listings: `async for` loads them page by page, `await` loads the whole as a list."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from ckptstore.reads.plans import CheckpointQuery
from ckptstore.reads.threads import ANY_THREAD, ThreadConditions, ThreadOrder, load_threads
from ckptstore.records import CheckpointKey, LoadedCheckpoint, ThreadInfo
from ckptstore.runtime.steps import Steps, drive, drive_async
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.values.decode import SegmentSet, group_by_remote_bytes

T = TypeVar("T")
Pages = Callable[[], Iterator[Steps[list[T]]]]

_PAGE_SIZE = 100
# The contents of objects that are fetched, and held in memory, at a time.
_GROUP_BYTES = 32 * 1024 * 1024


class Listing(Generic[T]):
    """A lazy listing: nothing is read before it is iterated over. Between two pages it holds no connection and no lock.

    `async for item in listing` streams; `await listing` gives a list; `anext(listing)` gives the next item; without an event
    loop, `for item in listing`. Like any iterable, it can be dropped without being read: there is no warning.

    Args:
        pages: starts to read from the beginning; returns operations that give a page each.
    """

    def __init__(self, pages: Pages[T]) -> None:
        self._pages = pages
        self._stream: AsyncIterator[T] | None = None

    def __aiter__(self) -> AsyncIterator[T]:
        """Stream from the beginning, or continue where `anext` stopped."""
        return self._stream or self._items()

    async def __anext__(self) -> T:
        """The next item."""
        if self._stream is None:
            self._stream = self._items()
        return await anext(self._stream)

    def __await__(self) -> Generator[Any, None, list[T]]:
        """All items."""
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
        """Stream in code without an event loop."""
        for page in self._pages():
            yield from drive(page)


class _Remainder:
    """How much of a listing is left.

    Args:
        limit: the largest number of items; None for no limit.
        found_some: whether an earlier listing, which this one continues, found something.
    """

    def __init__(self, limit: int | None, *, found_some: bool) -> None:
        self._limit = limit
        self._found_some = found_some
        #: Whether there may be another page.
        self.more = limit != 0

    @property
    def page_size(self) -> int:
        """Items of the next page."""
        return _PAGE_SIZE if self._limit is None else min(self._limit, _PAGE_SIZE)

    @property
    def found_nothing(self) -> bool:
        """Whether the listing has ended without a result."""
        return not self.more and not self._found_some

    def count(self, found: int, *, more: bool) -> None:
        """Count the items of a page, after which there may be more."""
        self.more = more
        self._found_some = self._found_some or found > 0
        if self._limit is not None:
            self._limit -= found
            self.more = more and self._limit > 0


class ThreadPages:
    """The pages of a listing of threads that have a matching checkpoint.

    Args:
        store: the store.
        wanted: the filter that at least one checkpoint of the thread must match; an empty one lists every thread.
        order_by: the order.
        limit: the largest number of threads; None for no limit.
        after: the last thread of an earlier listing; this one starts after it.
        conditions: on the rows of threads.
    """

    def __init__(
        self,
        store: Store,
        wanted: Filter,
        order_by: ThreadOrder,
        limit: int | None,
        after: ThreadInfo | None,
        conditions: ThreadConditions = ANY_THREAD,
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._conditions = conditions
        self._order_by = order_by
        self._remainder = _Remainder(limit, found_some=after is not None)
        self._after = after
        self._started = False

    def __iter__(self) -> Iterator[Steps[list[ThreadInfo]]]:
        """Operations that give one page each; between them nothing is held."""
        while self._remainder.more:
            yield self._page()

    def _page(self) -> Steps[list[ThreadInfo]]:
        if not self._started:
            self._started, self._wanted = True, (yield from self._store.resolve_filter(self._wanted))
        size, order_by = self._remainder.page_size, self._order_by
        work = partial(load_threads, wanted=self._wanted, order_by=order_by, after=self._after, size=size, conditions=self._conditions)
        page = yield from self._store.read_stale(work)
        self._after = page.last
        self._remainder.count(len(page.threads), more=page.more)
        if self._remainder.found_nothing:
            yield from self._store.log_unused_keys(self._wanted)
        return page.threads


def load_in_order(store: Store, keys: Sequence[CheckpointKey], decode: Callable[[LoadedCheckpoint], T]) -> Steps[list[T]]:
    """The checkpoints with these keys, in this order, read in one round trip; missing ones are left out.

    Args:
        store: the store.
        keys: the keys; one that occurs twice gives the same result twice.
        decode: turns a loaded checkpoint into an item of the result.
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
    """The pages of a listing of checkpoints, newest first.

    Args:
        store: the store.
        search: which checkpoints to list.
        limit: the largest number of checkpoints; None for no limit.
        decode: turns a loaded checkpoint into an item of the listing.
    """

    def __init__(self, store: Store, search: CheckpointQuery, limit: int | None, decode: Callable[[LoadedCheckpoint], T]) -> None:
        self._store = store
        self._search = search
        self._remainder = _Remainder(limit, found_some=False)
        self._decode = decode
        self._after: CheckpointKey | None = None
        #: One checkpoint of one thread is the newest one, after which a graph continues.
        self._may_be_stale = search.thread_id is None or limit != 1
        self._started = False
        #: Checkpoints whose rows were read: the contents of their objects are fetched group by group, to bound memory.
        self._groups: deque[tuple[Sequence[LoadedCheckpoint], SegmentSet]] = deque()

    def __iter__(self) -> Iterator[Steps[list[T]]]:
        """Operations that give some checkpoints each; between them only the rows of the current page are held."""
        while self._remainder.more or self._groups:
            yield self._observed(self._group() if self._groups else self._page())

    def _observed(self, page: Steps[list[T]]) -> Steps[list[T]]:
        with self._store.monitor.list.observed((self._search.thread_id, self._search.checkpoint_ns, self._search.checkpoint_id)):
            return (yield from page)

    def _page(self) -> Steps[list[T]]:
        if not self._started:
            self._started = True
            wanted = yield from self._store.resolve_filter(self._search.metadata_filter)
            self._search = replace(self._search, metadata_filter=wanted)
        page = yield from self._store.page(self._search, self._after, self._remainder.page_size, stale=self._may_be_stale)
        self._after = page.last
        self._remainder.count(len(page.checkpoints), more=page.more)
        if self._remainder.found_nothing:
            yield from self._store.log_unused_keys(self._search.metadata_filter)
        self._groups.extend((group, page.segments) for group in group_by_remote_bytes(page.checkpoints, page.segments, _GROUP_BYTES))
        return (yield from self._group()) if self._groups else []

    def _group(self) -> Steps[list[T]]:
        checkpoints, segments = self._groups.popleft()
        found = yield from self._store.with_objects(checkpoints, segments)
        decoded = [self._decode(loaded) for loaded in found]
        segments.release_remote()
        return decoded
