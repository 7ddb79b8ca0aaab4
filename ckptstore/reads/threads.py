"""Listing threads: a page at a time, from their rows and, where tags can't decide, from metadata."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.db.models import to_microseconds
from ckptstore.reads.planner import plan_thread_page
from ckptstore.records import ThreadInfo
from ckptstore.tags.filters import Filter

_METADATA_PAGE_SIZE = 100

ThreadOrder = Literal["updated_at", "thread_id"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ThreadPage(NamedTuple):
    """Some threads of a listing."""

    threads: list[ThreadInfo]
    #: The last thread that was looked at.
    last: ThreadInfo | None
    #: Whether there may be more after it.
    more: bool


def load_threads(
    db: Db,
    wanted: Filter,
    order_by: ThreadOrder,
    after: ThreadInfo | None,
    size: int,
) -> ThreadPage:
    """Up to `size` threads after one. There may be fewer, and yet more to come.

    No payload is read: a thread's row counts its checkpoints. Where tags can't decide, metadata is read too.
    """
    if any(not condition.values for condition in wanted.required):
        return ThreadPage([], after, more=False)
    how = plan_thread_page(db, wanted)
    parameters: dict[str, Any] = {**how.parameters, "page_size": size if how.exact else _METADATA_PAGE_SIZE}
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
            return ThreadPage(threads[:size], threads[size - 1], more=True)
        return ThreadPage(threads, last, more)
    return ThreadPage(threads, threads[-1] if threads else after, more)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
