"""The searches of `SQLAlchemySaver.list` and `list_threads` as typed statements, for sessions of the user's.

Statements select ORM models (`ckptstore.models`) and pass every value as a bound parameter; they can be joined with other tables.
`SQLAlchemySaver.aload` turns the rows into LangGraph's tuples.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, or_, select, true
from sqlalchemy.orm import aliased

from ckptstore.db.models import Checkpoint, Tag, Thread
from ckptstore.errors import InvalidFilter
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import Posting
from ckptstore.tags.conditions import ValueIn, ValueRange
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
    in_use = or_(*[_is(ValueRange(path, include_nested=True), Tag) for path in parsed.dotted])
    return or_(met, and_(~exists(select(Tag.key).where(in_use)), _meets(parsed.nested(parsed.dotted.values()), of)))


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
    order: Any = Checkpoint
    if parsed.required and len(parsed.required[0].values) == 1 and thread_id is None and not parsed.dotted:
        lead = order = aliased(Tag, name="lead")
        query = query.join(lead, and_(_is(parsed.required[0], lead), _same_checkpoint(lead, Checkpoint)))
    query = query.where(has_tags(wanted or {}, tag_keys=tag_keys))
    if thread_id is not None:
        query = query.where(Checkpoint.thread_id == thread_id)
    if created_after is not None:
        query = query.where(Checkpoint.created_at >= created_after)
    if created_before is not None:
        query = query.where(Checkpoint.created_at < created_before)
    return query.order_by(order.checkpoint_id.desc(), order.thread_id.desc(), order.checkpoint_ns.desc())


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


def _has(condition: ValueIn | ValueRange | Posting, of: type[Checkpoint]) -> ColumnElement[bool]:
    tag = aliased(Tag)
    return exists().where(_is(condition, tag), _same_checkpoint(tag, of))


def _is(condition: ValueIn | ValueRange | Posting, tag: type[Tag]) -> ColumnElement[bool]:
    at_key = tag.key == condition.key
    if isinstance(condition, Posting):
        return and_(at_key, tag.value == condition.value)
    if isinstance(condition, ValueIn):
        one = len(condition.values) == 1
        return and_(at_key, tag.value == condition.values[0] if one else tag.value.in_(condition.values))
    within = and_(at_key, tag.value >= condition.low, tag.value < condition.high)
    # "0" follows "/": the range holds every key that begins with this key and a slash.
    return or_(within, and_(tag.key >= f"{condition.key}/", tag.key < f"{condition.key}0")) if condition.include_nested else within


def _same_checkpoint(tag: type[Tag], of: type[Checkpoint]) -> ColumnElement[bool]:
    return and_(tag.thread_id == of.thread_id, tag.checkpoint_ns == of.checkpoint_ns, tag.checkpoint_id == of.checkpoint_id)
