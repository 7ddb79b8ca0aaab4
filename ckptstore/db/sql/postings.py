"""The index of tags: conditions on it, what it says about tags, and the checkpoints that have them. `tag_index` has how it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    union,
    union_all,
)

from ckptstore.db.sql.key_columns import KeyColumns
from ckptstore.db.sql.lookups import exists_for_row, lookup_join
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED, TEXTS_OF_TAGS
from ckptstore.db.sql.tables import CHECKPOINT_KEY
from ckptstore.db.sql.tag_index import Found
from ckptstore.db.sql.tag_layouts import index_of

_ONE: ColumnElement[int] = literal_column("1")


def has_posting(database: str, key: KeyColumns, prefix: str, *, several: bool = False) -> ColumnElement[bool]:
    """Whether a checkpoint has a posting: `prefix_key`, and `prefix_value` or one of `prefix_values`."""
    index = index_of(database)
    probe = index.tags.alias(prefix)
    wanted = _one_of(database, prefix, probe) if several else is_posting(database, probe, f"{prefix}_key", f"{prefix}_value")
    probed, same = index.of_checkpoint(probe, key)
    found = select(_ONE).select_from(probed).where(wanted, *same)
    # The number may be that of a row of a statement further out.
    return exists_for_row(database, found if key.thread_no is None else found.correlate_except(probe))


def is_posting(database: str, tag: FromClause, key: str, value: str) -> ColumnElement[bool]:
    """Whether a row of the index is of the posting that these parameters have."""
    return index_of(database).is_posting(tag, bindparam(key, type_=Text()), bindparam(value, type_=Text()))


def _one_of(database: str, prefix: str, tag: FromClause) -> ColumnElement[bool]:
    return index_of(database).is_one_of(tag, bindparam(f"{prefix}_key", type_=Text()), text_list(database, f"{prefix}_values"))


def text_list(database: str, parameter: str) -> Select[Any]:
    """The texts of a parameter that holds several: a JSON array on SQLite, an array on PostgreSQL."""
    if database == "sqlite":
        return select(func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=parameter).c.value)
    each = func.unnest(bindparam(parameter, type_=ARRAY(Text()))).table_valued("value", name=parameter).render_derived()
    return select(each.c.value)


def _found(database: str, source: str, names: Sequence[str]) -> list[Found]:
    """The rows of the index of a `list`, `span` or `span and below`, with these columns, each in one of the parts."""
    index = index_of(database)
    if source == "list":
        return [index.with_one_of(bindparam("source_key", type_=Text()), text_list(database, "source_values"), names)]
    key, value = index.texts.c.key, index.texts.c.value
    in_span = and_(key == bindparam("source_key"), value >= bindparam("source_low"), value < bindparam("source_high"))
    nested = and_(key >= bindparam("source_first_below"), key < bindparam("source_after_below"))
    # Two ranges of an index: for one condition with an OR, a planner might read the whole table.
    return [index.within(each, names) for each in ((in_span,) if source == "span" else (in_span, nested))]


def collected(database: str, source: str, names: Sequence[str] = CHECKPOINT_KEY) -> FromClause:
    """The checkpoints that the postings of a `list`, `span` or `span and below` name, each once: the index's columns for their keys.

    Args:
        database: the dialect's name.
        source: see `pages.Shape`.
        names: which columns of the keys.
    """
    columns = [column.name for column in index_of(database).columns_of(names)]
    parts = [
        select(*[found.tags.c[name] for name in columns]).select_from(found.rows).where(*found.conditions)
        for found in _found(database, source, columns)
    ]
    return (parts[0].distinct() if len(parts) == 1 else union(*parts)).subquery("collected")


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given, index = keys_table(database, ("key", "value")), index_of(database)
    tag = index.tags
    same = index.is_posting(tag, given.c.key, given.c.value)
    if database in (SCATTERED, TEXTS_OF_TAGS):
        return select(*[tag.c[name] for name in CHECKPOINT_KEY]).join(given, same)
    if database == "sqlite":
        rows, key = index.with_threads(tag)
        rows = rows.join(given, same)
    else:
        rows, key = index.with_threads(*lookup_join(database, given, tag, [same]))
    columns: list[ColumnElement[Any]] = [getattr(key, name) for name in CHECKPOINT_KEY]
    return select(*columns).select_from(rows)


def count_of_postings(database: str, source: str) -> Select[Any]:
    """How many postings a source has (`list`, `span` or `span and below`), counted up to `bound`."""
    # A column that an index has.
    some = [index_of(database).columns_of(("thread_id",))[0].name]
    parts = [select(_ONE.label("one")).select_from(found.rows).where(*found.conditions) for found in _found(database, source, some)]
    if len(parts) == 1:
        return _count(parts[0])
    subqueries = [part.subquery(f"part_{number}") for number, part in enumerate(parts)]
    return _count(select(union_all(*[select(_ONE.label("one")).select_from(part) for part in subqueries]).subquery("both")))


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(bindparam("bound", type_=BigInteger)).subquery("some"))


def count_with_id(database: str, streams: int) -> Select[Any]:
    """How many checkpoints with the id `checkpoint_id` have one of the postings that so many streams are of, counted up to `bound`."""
    index = index_of(database)
    tag = index.tags
    of_postings = or_(*[is_posting(database, tag, "source_key", f"source_value_{number}") for number in range(streams)])
    return _count(select(_ONE).select_from(tag).where(of_postings, index.has_id(tag, "=", bindparam("checkpoint_id", type_=Text()))))


def weights_of_postings(database: str) -> Select[Any]:
    """For each posting given as a key: how many checkpoints have it, counted up to `bound`, and how far back they reach.

    Columns: key, value, count, and the id of the checkpoint that follows `skipped` newer ones below `below`, or nearly so, or null.
    """
    given, index = keys_table(database, ("key", "value")), index_of(database)
    tag = index.tags
    posting = index.is_posting(tag, given.c.key, given.c.value)
    some = select(_ONE.label("one")).select_from(tag).where(posting).limit(bindparam("bound", type_=BigInteger)).correlate(given)
    count = select(func.count()).select_from(some.subquery("some")).scalar_subquery()
    place = place_after(database, posting, "below").correlate(given).subquery("reached")
    reached = select(index.text_of_place(place.c.place)).scalar_subquery()
    return select(given.c.key, given.c.value, count, reached)


def place_after(database: str, posting: ColumnElement[bool], before: str) -> Select[Any]:
    """The place, in the index, of the checkpoint that follows `skipped` newer ones with a posting, all before the id in a parameter.

    Not as a text: PostgreSQL would make one of each that is skipped.
    """
    index = index_of(database)
    place = index.place_of(index.tags)
    newest = select(place.label("place")).where(posting, index.is_before(index.tags, bindparam(before, type_=Text())))
    return newest.order_by(place.desc()).limit(_ONE).offset(bindparam("skipped", type_=BigInteger))
