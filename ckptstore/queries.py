"""The searches of `SQLAlchemySaver.list` and `list_threads` as typed statements, for sessions of the user's.

Statements select ORM models (`ckptstore.models`) and pass every value as a bound parameter; they can be joined with other tables.
`SQLAlchemySaver.aload` turns the rows into LangGraph's tuples.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, inspect, or_, select, true

from ckptstore.db.models import Checkpoint, Thread
from ckptstore.db.sql.postings import at, place_of_checkpoint
from ckptstore.db.tag_ids import id_text
from ckptstore.db.tag_models import TAG, TAG_OWNER, TAG_VALUE
from ckptstore.errors import InvalidFilter
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import Posting
from ckptstore.tags.conditions import ValueIn, ValueRange, keys_below
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING, TagKeys


def has_tags(wanted: Mapping[str, Any], *, of: type[Checkpoint] = Checkpoint, tag_keys: TagKeys = EVERYTHING) -> ColumnElement[bool]:
    """A condition on checkpoints: their metadata matches. For statements whose other conditions select few checkpoints.

    Args:
        wanted: a filter as for `SQLAlchemySaver.list`.
        of: `Checkpoint`, or an alias of it.
        tag_keys: the saver's `tag_keys`.

    Raises:
        InvalidFilter: the filter has no meaning, or tags alone can't decide it; the message names the key.
        KeyNotIndexed: it asks for a key that is not indexed.
    """
    parsed = _decided_by_tags(wanted, tag_keys)
    conditions = [_meets(_decided_by_tags({key: value}, tag_keys), of) for key, value in parsed.entries]
    return and_(true(), *conditions)


def _meets(parsed: Filter, of: type[Checkpoint]) -> ColumnElement[bool]:
    """The condition for a filter of one key."""
    conditions: list[ValueIn | ValueRange] = [*parsed.required, *parsed.ranges]
    met = and_(true(), *[_has(condition, of) for condition in conditions], *[~_has(posting, of) for posting in parsed.forbidden])
    if not parsed.dotted:
        return met
    # Where no checkpoint has a key with this dot, it stands for a key of a nested dict.
    values = or_(*[_is(ValueRange(path, include_nested=True)) for path in parsed.dotted])
    in_use = exists().where(values, exists().where(TAG.c.value_id == TAG_VALUE.c.id))
    return or_(met, and_(~in_use, _meets(parsed.nested(parsed.dotted.values()), of)))


def select_checkpoints(
    wanted: Mapping[str, Any] | None = None,
    *,
    thread_id: str | None = None,
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    tag_keys: TagKeys = EVERYTHING,
) -> Select[Checkpoint]:
    """Checkpoints, newest first. The first key of the filter drives the search: put the rarest first, and set a limit.

    Args:
        wanted: a filter as for `SQLAlchemySaver.list`.
        thread_id: only this thread's.
        created_after: only those created from this moment on.
        created_before: only those created before this moment.
        tag_keys: the saver's `tag_keys`.

    Raises:
        InvalidFilter: the filter has no meaning, or tags alone can't decide it; the message names the key.
        KeyNotIndexed: it asks for a key that is not indexed.
    """
    parsed = _decided_by_tags(wanted or {}, tag_keys)
    query = select(Checkpoint).where(Checkpoint.hidden.is_(False))
    if parsed.required and len(parsed.required[0].values) == 1 and thread_id is None and not parsed.dotted:
        query = query.select_from(TAG).join(TAG_OWNER, TAG_OWNER.c.id == TAG.c.owner_id).join(Checkpoint, _named_by_tag())
        query = query.where(TAG.c.value_id == select(TAG_VALUE.c.id).where(_is(parsed.required[0])).scalar_subquery())
        # The texts decide where two ids have one place in the index.
        query = query.order_by(TAG.c.id_order.desc())
    query = query.where(has_tags(wanted or {}, tag_keys=tag_keys))
    if thread_id is not None:
        query = query.where(Checkpoint.thread_id == thread_id)
    if created_after is not None:
        query = query.where(Checkpoint.created_at >= created_after)
    if created_before is not None:
        query = query.where(Checkpoint.created_at < created_before)
    return query.order_by(Checkpoint.checkpoint_id.desc(), Checkpoint.thread_id.desc(), Checkpoint.checkpoint_ns.desc())


def select_threads(wanted: Mapping[str, Any] | None = None, *, tag_keys: TagKeys = EVERYTHING) -> Select[Thread]:
    """Threads that have a matching checkpoint, the most recently active first.

    Args:
        wanted: a filter as for `SQLAlchemySaver.list`; None for all threads.
        tag_keys: the saver's `tag_keys`.

    Raises:
        InvalidFilter: the filter has no meaning, or tags alone can't decide it; the message names the key.
        KeyNotIndexed: it asks for a key that is not indexed.
    """
    query = select(Thread).order_by(Thread.updated_at.desc(), Thread.thread_id.desc())
    if not wanted:
        return query
    visible = Checkpoint.hidden.is_(False)
    return query.where(exists().where(Checkpoint.thread_id == Thread.thread_id, visible, has_tags(wanted, tag_keys=tag_keys)))


def _decided_by_tags(wanted: Mapping[str, Any], tag_keys: TagKeys) -> Filter:
    parsed = Filter.parse(wanted, tag_keys, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
    if not parsed.exact:
        raise InvalidFilter(f"tags alone can't decide the filter on {', '.join(map(repr, wanted))}; let a saver list the checkpoints")
    return parsed


def _named_by_tag() -> ColumnElement[bool]:
    """Whether a checkpoint is that of a tag, which is joined with its owner."""
    of_owner = and_(Checkpoint.thread_id == TAG_OWNER.c.thread_id, Checkpoint.checkpoint_ns == TAG_OWNER.c.checkpoint_ns)
    return and_(of_owner, Checkpoint.checkpoint_id == id_text(TAG.c.id_order, TAG.c.id_rest, TAG_OWNER.c.own_id))


def _has(condition: ValueIn | ValueRange | Posting, of: type[Checkpoint]) -> ColumnElement[bool]:
    tag, value = TAG.alias(), select(TAG_VALUE.c.id).where(_is(condition))
    single = isinstance(condition, Posting) or (isinstance(condition, ValueIn) and len(condition.values) == 1)
    has_value = tag.c.value_id == value.scalar_subquery() if single else tag.c.value_id.in_(value)
    return exists().where(has_value, *at(tag, place_of_checkpoint(inspect(of).selectable)))


def _is(condition: ValueIn | ValueRange | Posting) -> ColumnElement[bool]:
    key, value = TAG_VALUE.c.key, TAG_VALUE.c.value
    if isinstance(condition, Posting):
        return and_(key == condition.key, value == condition.value)
    if isinstance(condition, ValueIn):
        return and_(key == condition.key, value.in_(condition.values))
    within = and_(key == condition.key, value >= condition.low, value < condition.high)
    first_below, after_below = keys_below(condition.key)
    return or_(within, and_(key >= first_below, key < after_below)) if condition.include_nested else within
