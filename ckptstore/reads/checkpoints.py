"""Load whole checkpoints: those of some keys, or a page of a listing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.reads.assemble import assemble
from ckptstore.reads.meetings import find_meetings, just_after
from ckptstore.reads.planner import plan_page
from ckptstore.reads.plans import CheckpointQuery, PagePlan
from ckptstore.reads.rows import parsed_metadata
from ckptstore.reads.ties import ends_in_tie, quick_plan
from ckptstore.records import CheckpointKey, LoadedCheckpoint, StateFormat
from ckptstore.tags.filters import Filter
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet

# Where the index can't decide, one page compares the metadata of at most so many checkpoints, so that it does not hold its
# connection for long.
_METADATA_PAGE_SIZE = 500
_MAX_METADATA_PAGES = 8


class Page(NamedTuple):
    """Some checkpoints of a listing; segments that are in blob storage are not fetched yet."""

    checkpoints: list[LoadedCheckpoint]
    segments: SegmentSet
    #: The last checkpoint that was compared with the filter: the next page starts after it.
    last: CheckpointKey | None
    #: Whether there may be more checkpoints after it.
    more: bool


def load_named(db: Db, keys: Sequence[CheckpointKey], state_format: StateFormat, cache: MemoryCache) -> Loaded[list[LoadedCheckpoint]]:
    """The checkpoints with these keys, newest first; missing and hidden ones are left out."""
    parameters = db.key_parameters(sql.tables.CHECKPOINT_KEY, keys)
    return assemble(db.run(sql.checkpoints.named_whole, parameters, state_format).found if keys else (), SegmentSet(cache))


def load_page(
    db: Db, search: CheckpointQuery, after: CheckpointKey | None, size: int, state_format: StateFormat, cache: MemoryCache
) -> Page:
    """Load up to `size` checkpoints after a key, newest first. A shorter page does not mean that it is the last one.

    The number of statements does not depend on what is found: one counts the checkpoints of each condition that may drive the
    page, and one loads it. Where only metadata can decide, up to `_MAX_METADATA_PAGES` statements read keys and metadata first.
    """
    if search.matches_nothing:
        return Page([], SegmentSet(cache), after, more=False)
    plan = plan_page(db, search, after)
    if not plan.exact:
        return _load_matching(db, search.metadata_filter, plan, after, size, state_format, cache)
    plan = plan.after(after)
    if plan.first_floor:
        return _load_meetings(db, plan, size, state_format, cache)
    if "thread_id" not in plan.shape.given and not db.abilities.database.joins_threads:
        keys: Sequence[CheckpointKey] = [
            CheckpointKey(*row) for row in db.run(sql.pages.page_keys, {**plan.parameters, "page_size": size}, plan.shape)
        ]
        loaded = load_named(db, keys, state_format, cache)
        return Page(loaded.result, loaded.segments, keys[-1] if keys else after, more=len(keys) == size)
    loaded = _load_whole(db, plan, size, state_format, cache)
    found = loaded.result
    return Page(found, loaded.segments, found[-1].key if found else after, more=len(found) == size)


def _load_whole(db: Db, plan: PagePlan, size: int, state_format: StateFormat, cache: MemoryCache) -> Loaded[list[LoadedCheckpoint]]:
    """The checkpoints of a page."""
    quick = quick_plan(db, plan)
    rows = db.run(sql.pages.page_whole, {**quick.parameters, "page_size": size}, quick.shape, state_format)
    loaded = assemble(rows.found, SegmentSet(cache))
    if quick is not plan and len(loaded.result) == size and ends_in_tie(db, plan, [each.key for each in loaded.result]):
        rows = db.run(sql.pages.page_whole, {**plan.parameters, "page_size": size}, plan.shape, state_format)
        loaded = assemble(rows.found, SegmentSet(cache))
    return loaded


def _load_meetings(db: Db, plan: PagePlan, size: int, state_format: StateFormat, cache: MemoryCache) -> Page:
    """Load a page of the checkpoints that have two frequent tags."""
    near = plan.down_to(plan.first_floor)
    loaded = _load_whole(db, near, size, state_format, cache)
    keys = [checkpoint.key for checkpoint in loaded.result]
    if len(keys) == size:
        return Page(loaded.result, loaded.segments, keys[-1], more=True)
    meetings = find_meetings(db, plan, just_after(plan.first_floor), size - len(keys))
    if meetings.keys:
        loaded = load_named(db, [*keys, *meetings.keys], state_format, cache)
    return Page(loaded.result, loaded.segments, meetings.last, meetings.more)


def _load_matching(
    db: Db, wanted: Filter, plan: PagePlan, after: CheckpointKey | None, size: int, state_format: StateFormat, cache: MemoryCache
) -> Page:
    """Load a page of the checkpoints whose metadata matches."""
    keys: list[CheckpointKey] = []
    more = True
    for _ in range(_MAX_METADATA_PAGES):
        candidates = _candidates(db, plan.after(after))
        more = len(candidates) == _METADATA_PAGE_SIZE
        for position, candidate in enumerate(candidates, start=1):
            after = CheckpointKey(candidate.thread_id, candidate.checkpoint_ns, candidate.checkpoint_id)
            if wanted.matches(parsed_metadata(after, candidate.metadata)):
                keys.append(after)
            if len(keys) == size:
                more = more or position < len(candidates)
                break
        if not more or len(keys) == size:
            break
    loaded = load_named(db, keys, state_format, cache)
    return Page(loaded.result, loaded.segments, after, more)


class _Candidate(NamedTuple):
    """A row of `ckptstore.db.sql.pages.page_metadata`."""

    thread_id: str
    checkpoint_ns: str
    checkpoint_id: str
    metadata: str


def _candidates(db: Db, plan: PagePlan) -> list[_Candidate]:
    for each in (quick_plan(db, plan), plan):
        rows = db.run(sql.pages.page_metadata, {**each.parameters, "page_size": _METADATA_PAGE_SIZE}, each.shape)
        found = [_Candidate(*row) for row in rows]
        keys = [CheckpointKey(*candidate[: len(sql.tables.CHECKPOINT_KEY)]) for candidate in found]
        if each is plan or len(found) < _METADATA_PAGE_SIZE or not ends_in_tie(db, plan, keys):
            break
    return found
