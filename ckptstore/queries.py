"""The searches of `SQLAlchemySaver.list` and `list_threads` as typed statements, for sessions of the user's.

Statements select ORM models (`ckptstore.models`) and pass every value as a bound parameter; they can be joined with other tables.
`SQLAlchemySaver.aload` turns the rows into LangGraph's tuples.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, and_, exists, func, literal_column, or_, select, text, true

from ckptstore.db.models import Checkpoint, Thread
from ckptstore.db.sql.pages import ORDER
from ckptstore.db.sql.tag_ids import Half
from ckptstore.db.tag_tables import TAG_NUMBER, TAG_SEARCH
from ckptstore.errors import InvalidFilter
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import Posting
from ckptstore.tags.conditions import ValueIn, ValueRange
from ckptstore.tags.filters import Filter
from ckptstore.tags.keys import EVERYTHING, TagKeys

# Of a limit that it can't see (NULL is none), PostgreSQL expects a tenth of the rows to be read, and so reads them in this order. It would
# read and sort all of them otherwise: it believes that nearly nothing is left of a join by three columns.
_IN_ORDER = text(f"ORDER BY {', '.join(f'{name} DESC' for name in ('half', *ORDER))} LIMIT (SELECT CAST(NULL AS bigint))")


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
    return _has_tags(wanted, _Key.of(of), tag_keys)


class _Key(NamedTuple):
    """What names a checkpoint in the index of tags: columns that the rows of its other tags have, too, and what they equal."""

    columns: Mapping[str, ColumnElement[Any]]

    @classmethod
    def of(cls, of: type[Checkpoint]) -> _Key:
        """That of a row of checkpoints."""
        key = {name: getattr(of, name) for name in ORDER}
        return cls({"half_of_id": Half(key["checkpoint_id"]), **key})

    @classmethod
    def of_tag(cls, tag: FromClause) -> _Key:
        """That of a row of tags."""
        return cls({name: tag.c[name] for name in ("half", "thread_no", "checkpoint_ns", "checkpoint_id")})

    def is_of(self, tag: FromClause) -> ColumnElement[bool]:
        """Whether a row of tags is of this checkpoint."""
        return and_(*[tag.c[name] == value for name, value in self.columns.items()])


def _has_tags(wanted: Mapping[str, Any], key: _Key, tag_keys: TagKeys) -> ColumnElement[bool]:
    parsed = _decided_by_tags(wanted, tag_keys)
    return and_(true(), *[_meets(_decided_by_tags({name: value}, tag_keys), key) for name, value in parsed.entries])


def _meets(parsed: Filter, key: _Key) -> ColumnElement[bool]:
    """The condition for a filter of one key."""
    conditions: list[ValueIn | ValueRange] = [*parsed.required, *parsed.ranges]
    met = and_(true(), *[_has(condition, key) for condition in conditions], *[~_has(posting, key) for posting in parsed.forbidden])
    if not parsed.dotted:
        return met
    # Where no checkpoint has a key with this dot, it stands for a key of a nested dict.
    in_use = or_(*[_is(ValueRange(path, include_nested=True), TAG_SEARCH) for path in parsed.dotted])
    return or_(met, and_(~exists(select(TAG_SEARCH.c.key).where(in_use)), _meets(parsed.nested(parsed.dotted.values()), key)))


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
    order = [getattr(Checkpoint, name).desc() for name in ORDER]
    if thread_id is None and (found := _lead(parsed, tag_keys)) is not None:
        tag, conditions = found
        lead = (
            select(*[tag.c[name] for name in ("half", *ORDER)])
            .where(*conditions)
            .suffix_with(_IN_ORDER, dialect="postgresql")
            .subquery("lead")
        )
        query = query.join(lead, and_(*[getattr(Checkpoint, name) == lead.c[name] for name in ORDER]))
        order = [lead.c[name].desc() for name in ("half", *ORDER)]
    else:
        query = query.where(has_tags(wanted or {}, tag_keys=tag_keys))
    if thread_id is not None:
        query = query.where(Checkpoint.thread_id == thread_id)
    if created_after is not None:
        query = query.where(Checkpoint.created_at >= created_after)
    if created_before is not None:
        query = query.where(Checkpoint.created_at < created_before)
    return query.order_by(*order)


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
    if (found := _lead(_decided_by_tags(wanted, tag_keys), tag_keys)) is not None:
        # A checkpoint that is hidden has no tags.
        lead, conditions = found
        return query.where(Thread.thread_id.in_(select(lead.c.thread_id).where(*conditions)))
    visible = Checkpoint.hidden.is_(False)
    return query.where(exists().where(Checkpoint.thread_id == Thread.thread_id, visible, has_tags(wanted, tag_keys=tag_keys)))


def _lead(parsed: Filter, tag_keys: TagKeys) -> tuple[FromClause, list[ColumnElement[bool]]] | None:
    """Rows of the index for the first tag of a filter, with the conditions that they are of it and that their checkpoints match.

    None if the filter does not begin with one value of one key.
    """
    if not parsed.required or len(parsed.required[0].values) > 1 or parsed.dotted:
        return None
    lead, first = TAG_SEARCH.alias("lead"), parsed.required[0]
    key = _Key.of_tag(lead)
    parts = [_decided_by_tags({name: value}, tag_keys) for name, value in parsed.entries]
    others: list[ValueIn | ValueRange] = []
    for part in parts:
        others += [*[condition for condition in part.required if condition != first], *part.ranges]
    excluded = [~_has(posting, key) for part in parts for posting in part.forbidden]
    return lead, [_is(first, lead), *[_has(each, key) for each in others], *excluded]


def _decided_by_tags(wanted: Mapping[str, Any], tag_keys: TagKeys) -> Filter:
    parsed = Filter.parse(wanted, tag_keys, unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
    if not parsed.exact:
        raise InvalidFilter(f"tags alone can't decide the filter on {', '.join(map(repr, wanted))}; let a saver list the checkpoints")
    return parsed


def _has(condition: ValueIn | ValueRange | Posting, key: _Key) -> ColumnElement[bool]:
    tag = TAG_SEARCH.alias()
    found = select(tag.c.key).where(_is(condition, tag), key.is_of(tag))
    # PostgreSQL turns no query with an OFFSET into a join: it probes each row of the index of another tag, in the order of the listing.
    return (found.offset(literal_column("0")) if "thread_no" in key.columns else found).exists()


def _is(condition: ValueIn | ValueRange | Posting, tag: FromClause) -> ColumnElement[bool]:
    if isinstance(condition, Posting):
        return _is_posting(condition, tag)
    at_key = tag.c.key == condition.key
    if isinstance(condition, ValueIn):
        one = len(condition.values) == 1
        return _is_posting(Posting(condition.key, condition.values[0]), tag) if one else and_(at_key, tag.c.value.in_(condition.values))
    within = and_(at_key, tag.c.value >= condition.low, tag.c.value < condition.high)
    # "0" follows "/": the range holds every key that begins with this key and a slash.
    return or_(within, and_(tag.c.key >= f"{condition.key}/", tag.c.key < f"{condition.key}0")) if condition.include_nested else within


def _is_posting(posting: Posting, tag: FromClause) -> ColumnElement[bool]:
    """By its number, too, where it has one: the index is in the order of the numbers, and PostgreSQL would join to look it up."""
    number = select(TAG_NUMBER.c.number).where(TAG_NUMBER.c.key == posting.key, TAG_NUMBER.c.value == posting.value)
    return and_(tag.c.value_no == func.coalesce(number.scalar_subquery(), 0), tag.c.key == posting.key, tag.c.value == posting.value)
