"""Threads at a glance, page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.db.models import to_microseconds
from ckptstore.reads.planner import plan_of_threads
from ckptstore.records import ThreadInfo
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter

OrderOfThreads = Literal["updated_at", "thread_id"]

_PAGE_SIZE = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PageOfThreads(NamedTuple):
    """Some threads of a listing."""

    threads: list[ThreadInfo]
    #: The last thread that was looked at.
    last: ThreadInfo | None
    #: Whether there may be more after it.
    more: bool


class Threads:
    """One walk through the threads that have a matching checkpoint.

    Args:
        store: where they are.
        wanted: what one of a thread's checkpoints has to match; every thread where it asks for nothing.
        order_by: the order.
        limit: at most so many, or None.
        after: the last thread of an earlier walk: this one goes on after it.
    """

    def __init__(self, store: Store, wanted: Filter, order_by: OrderOfThreads, limit: int | None, after: ThreadInfo | None) -> None:
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


def load_threads(
    db: Db,
    wanted: Filter,
    order_by: OrderOfThreads,
    after: ThreadInfo | None,
    size: int,
) -> PageOfThreads:
    """Up to `size` threads after one. There may be fewer, and yet more to come.

    No payload is read: a thread's row counts its checkpoints. Where tags can't decide, metadata is read too.
    """
    if any(not condition.values for condition in wanted.required):
        return PageOfThreads([], after, more=False)
    how = plan_of_threads(db, wanted)
    parameters: dict[str, Any] = {**how.parameters, "page_size": size if how.exact else _PAGE_SIZE}
    shape = how.shape
    if after is not None:
        shape = shape._replace(given=shape.given | {"after"})
        parameters |= {"after_updated_at": to_microseconds(after.updated_at), "after_thread_id": after.thread_id}
    rows = db.run(sql.threads.page_of_threads, parameters, order_by, shape)
    threads = [ThreadInfo(row[0], _moment(row[1]), _moment(row[2]), row[3], row[4]) for row in rows]
    more = len(threads) == parameters["page_size"]
    if not how.exact and threads:
        listed = [thread.thread_id for thread in threads]
        among = {"threads": json.dumps(listed) if db.on_sqlite else listed}
        found = db.run(sql.threads.metadata_of_threads, {**how.parameters, **among}, how.shape)
        matching = {thread_id for thread_id, metadata in found if wanted.matches(json.loads(metadata))}
        last, threads = threads[-1], [thread for thread in threads if thread.thread_id in matching]
        if len(threads) > size:
            return PageOfThreads(threads[:size], threads[size - 1], more=True)
        return PageOfThreads(threads, last, more)
    return PageOfThreads(threads, threads[-1] if threads else after, more)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
