"""Listings that stream: `async for` takes pages as it goes, `await` takes the whole as a list."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any, Generic, TypeVar

from ckptstore.runtime.steps import Steps, drive, drive_async

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
