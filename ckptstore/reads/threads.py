"""List threads a page at a time, from their rows and, where the tag index can't decide, from metadata."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.times import from_microseconds, to_microseconds
from ckptstore.reads.meetings import find_meetings, has_many_near, just_before
from ckptstore.reads.planner import plan_thread_page
from ckptstore.reads.plans import PagePlan, ThreadPagePlan
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import CheckpointKey, ThreadInfo
from ckptstore.tags.conditions import GREATEST_TEXT
from ckptstore.tags.filters import Filter

# Threads in a page whose metadata has to be compared with the filter.
_METADATA_PAGE_SIZE = 100

# If more checkpoints have two frequent tags, a walk through all threads soon finds enough of them.
_MAX_MEETINGS = 5_000

ThreadOrder = Literal["updated_at", "thread_id"]


class ThreadConditions(NamedTuple):
    """Conditions on the rows of threads, all of which have to hold; None for no condition. Times are microseconds since 1970, UTC."""

    #: A part of the thread's id.
    part: str | None = None
    #: Something was stored in the thread since then.
    active_since: int | None = None
    #: Nothing was stored in the thread since then.
    active_before: int | None = None
    #: Serialised bytes that its checkpoints added.
    least_size: int | None = None

    @property
    def given(self) -> dict[str, str | int]:
        """The conditions by name, as parameters of a statement."""
        return {name: value for name, value in self._asdict().items() if value is not None}


ANY_THREAD = ThreadConditions()


class ThreadPage(NamedTuple):
    """Some threads of a listing."""

    threads: list[ThreadInfo]
    #: The last thread that was compared with the filter: the next page starts after it.
    last: ThreadInfo | None
    #: Whether there may be more threads after it.
    more: bool


class _ThreadRow(NamedTuple):
    """A row of `ckptstore.db.sql.threads.page_of_threads`; times are microseconds since 1970, UTC."""

    thread_id: str
    created_at: int
    updated_at: int
    checkpoint_count: int
    size: int


def load_threads(
    db: Db, wanted: Filter, order_by: ThreadOrder, after: ThreadInfo | None, size: int, conditions: ThreadConditions = ANY_THREAD
) -> ThreadPage:
    """Load up to `size` threads after one. A shorter page does not mean that it is the last one.

    No value is read: the row of a thread counts its checkpoints. Where the tag index can't decide, metadata is read too.
    """
    if wanted.matches_nothing:
        return ThreadPage([], after, more=False)
    if conditions.part is not None:
        # No index has parts of ids.
        db.expect_long()
    plan = _with_conditions(_cheapest_plan(db, plan_thread_page(db, wanted), size), conditions)
    page_size = size if plan.exact else _METADATA_PAGE_SIZE
    threads = _load_rows(db, plan, order_by, after, page_size)
    more = len(threads) == page_size
    if plan.exact or not threads:
        return ThreadPage(threads, threads[-1] if threads else after, more)
    matching = _matching_thread_ids(db, plan, wanted, [thread.thread_id for thread in threads])
    found = [thread for thread in threads if thread.thread_id in matching]
    if len(found) > size:
        return ThreadPage(found[:size], found[size - 1], more=True)
    return ThreadPage(found, threads[-1], more)


def _cheapest_plan(db: Db, plan: ThreadPagePlan, size: int) -> PagePlan:
    """The plan for all threads in order; where few checkpoints have two frequent tags, one for the threads of these."""
    if plan.meetings is None or has_many_near(db, plan.meetings, size):
        return plan.page
    meetings = find_meetings(db, plan.meetings, just_before(GREATEST_TEXT), _MAX_MEETINGS)
    if meetings.more:
        return plan.page
    thread_ids = list({key.thread_id for key in meetings.keys})
    listed = json.dumps(thread_ids) if db.on_sqlite else thread_ids
    return plan.page._replace(
        shape=plan.page.shape._replace(source="threads"), parameters={**plan.page.parameters, "source_threads": listed}
    )


def _with_conditions(plan: PagePlan, conditions: ThreadConditions) -> PagePlan:
    given = conditions.given
    shape = plan.shape._replace(given=frozenset((*plan.shape.given, *given)))
    return plan._replace(shape=shape, parameters={**plan.parameters, **given}) if given else plan


def _load_rows(db: Db, plan: PagePlan, order_by: ThreadOrder, after: ThreadInfo | None, page_size: int) -> list[ThreadInfo]:
    shape = plan.shape
    parameters: dict[str, Any] = {**plan.parameters, "page_size": page_size}
    if after is not None:
        shape = shape._replace(given=shape.given | {"after"})
        parameters |= {"after_updated_at": to_microseconds(after.updated_at), "after_thread_id": after.thread_id}
    rows = [_ThreadRow(*row) for row in db.run(sql.threads.page_of_threads, parameters, order_by, shape)]
    return [_thread(row) for row in rows]


def _thread(row: _ThreadRow) -> ThreadInfo:
    return ThreadInfo(row.thread_id, from_microseconds(row.created_at), from_microseconds(row.updated_at), row.checkpoint_count, row.size)


def _matching_thread_ids(db: Db, plan: PagePlan, wanted: Filter, thread_ids: Sequence[str]) -> set[str]:
    """Those of some threads that have a checkpoint whose metadata matches."""
    listed = json.dumps(thread_ids) if db.on_sqlite else list(thread_ids)
    rows = db.run(sql.threads.metadata_of_threads, {**plan.parameters, "threads": listed}, plan.shape)
    return {key[0] for *key, metadata in rows if wanted.matches(parsed_metadata(CheckpointKey(*key), metadata))}
