"""A listing, page by page, in groups that fit into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from ckptstore.reads.planner import Search
from ckptstore.records import CheckpointKey, LoadedCheckpoint
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.values.decode import Pieces, in_groups

T = TypeVar("T")

_PAGE_SIZE = 100
_GROUP_BYTES = 32 * 1024 * 1024


class Pages(Generic[T]):
    """One walk through the checkpoints that a search finds, newest first.

    Args:
        store: where they are.
        search: what restricts them.
        limit: at most so many, or None.
        decoded: what becomes of a checkpoint.
    """

    def __init__(self, store: Store, search: Search, limit: int | None, decoded: Callable[[LoadedCheckpoint], T]) -> None:
        self._store = store
        self._search = search
        self._left = limit
        self._decoded = decoded
        self._after: CheckpointKey | None = None
        self._more = limit != 0
        #: What was found and not yet given out.
        self._groups: deque[tuple[Sequence[LoadedCheckpoint], Pieces]] = deque()

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
        self._groups.extend((group, page.pieces) for group in in_groups(page.checkpoints, page.pieces, _GROUP_BYTES))
        return (yield from self._group()) if self._groups else []

    def _group(self) -> Steps[list[T]]:
        checkpoints, pieces = self._groups.popleft()
        found = yield from self._store.with_objects(checkpoints, pieces)
        decoded = [self._decoded(loaded) for loaded in found]
        pieces.let_go()
        return decoded
