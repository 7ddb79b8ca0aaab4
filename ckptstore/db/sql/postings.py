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
    select,
    true,
    union,
    union_all,
)

from ckptstore.db.sql.key_columns import KeyColumns
from ckptstore.db.sql.lookups import exists_for_row
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import CHECKPOINT_KEY
from ckptstore.db.sql.tag_index import index_of

_ONE: ColumnElement[int] = literal_column("1")


def has_posting(database: str, key: KeyColumns, prefix: str, *, several: bool = False) -> ColumnElement[bool]:
    """Whether a checkpoint has a posting: `prefix_key`, and `prefix_value` or one of `prefix_values`."""
    index = index_of(database)
    probe = index.tags.alias(prefix)
    wanted = _one_of(database, prefix, probe) if several else is_posting(probe, f"{prefix}_key", f"{prefix}_value")
    probed, same = index.of_checkpoint(probe, key)
    found = select(_ONE).select_from(probed).where(wanted, *same)
    if database == SCATTERED:
        # Citus refuses an OFFSET in a correlated query. As a join, eight conditions take each node half a second to plan, and PostgreSQL
        # makes no join of EXISTS (...) IS TRUE. With equalities alone it might hash the query's result, all checkpoints that have the tag.
        return found.where(probe.c.checkpoint_id >= key.checkpoint_id).exists().is_(true())
    # The number may be that of a row of a statement further out.
    return exists_for_row(database, found if key.thread_no is None else found.correlate_except(probe))


def is_posting(tag: FromClause, key: str, value: str) -> ColumnElement[bool]:
    """Whether a row of the index is of the posting that these parameters have."""
    return and_(tag.c.key == bindparam(key), tag.c.value == bindparam(value))


def _one_of(database: str, prefix: str, tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key == bindparam(f"{prefix}_key"), tag.c.value.in_(text_list(database, f"{prefix}_values")))


def text_list(database: str, parameter: str) -> Select[Any]:
    """The texts of a parameter that holds several: a JSON array on SQLite, an array on PostgreSQL."""
    if database == "sqlite":
        return select(func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=parameter).c.value)
    each = func.unnest(bindparam(parameter, type_=ARRAY(Text()))).table_valued("value", name=parameter).render_derived()
    return select(each.c.value)


def _in_span(tag: FromClause) -> ColumnElement[bool]:
    value = tag.c.value
    return and_(tag.c.key == bindparam("source_key"), value >= bindparam("source_low"), value < bindparam("source_high"))


def _nested(tag: FromClause) -> ColumnElement[bool]:
    return and_(tag.c.key >= bindparam("source_first_below"), tag.c.key < bindparam("source_after_below"))


def collected(database: str, source: str, names: Sequence[str] = CHECKPOINT_KEY) -> FromClause:
    """The checkpoints that the postings of a `list`, `span` or `span and below` name, each once: the index's columns for their keys.

    Args:
        database: the dialect's name.
        source: see `pages.Shape`.
        names: which columns of the keys.
    """
    index = index_of(database)
    tag, columns = index.tags, index.columns_of(names)
    if source == "list":
        return select(*columns).where(_one_of(database, "source", tag)).distinct().subquery("collected")
    within = select(*columns).where(_in_span(tag))
    if source == "span":
        return within.distinct().subquery("collected")
    return union(within, select(*columns).where(_nested(tag))).subquery("collected")


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given, index = keys_table(database, ("key", "value")), index_of(database)
    tag = index.tags
    same = and_(tag.c.key == given.c.key, tag.c.value == given.c.value)
    if database != "sqlite":
        return select(*[tag.c[name] for name in CHECKPOINT_KEY]).join(given, same)
    rows, key = index.with_threads(tag)
    columns: list[ColumnElement[Any]] = [getattr(key, name) for name in CHECKPOINT_KEY]
    return select(*columns).select_from(rows.join(given, same))


def count_of_postings(database: str, source: str) -> Select[Any]:
    """How many postings a source has (`list`, `span` or `span and below`), counted up to `bound`."""
    tag = index_of(database).tags
    if source == "list":
        return _count(select(_ONE).select_from(tag).where(_one_of(database, "source", tag)))
    within = select(_ONE).select_from(tag).where(_in_span(tag))
    if source == "span":
        return _count(within)
    parts = [within.subquery("within"), select(_ONE).select_from(tag).where(_nested(tag)).subquery("below")]
    return _count(select(union_all(*[select(_ONE.label("one")).select_from(part) for part in parts]).subquery("both")))


def _count(rows: Select[Any]) -> Select[Any]:
    return select(func.count()).select_from(rows.limit(bindparam("bound", type_=BigInteger)).subquery("some"))


def count_with_id(database: str, streams: int) -> Select[Any]:
    """How many checkpoints with the id `checkpoint_id` have one of the postings that so many streams are of, counted up to `bound`."""
    tag = index_of(database).tags
    values = tag.c.value.in_([bindparam(f"source_value_{number}") for number in range(streams)])
    of_id = tag.c.checkpoint_id == bindparam("checkpoint_id")
    return _count(select(_ONE).select_from(tag).where(tag.c.key == bindparam("source_key"), values, of_id))


def weights_of_postings(database: str) -> Select[Any]:
    """For each posting given as a key: how many checkpoints have it, counted up to `bound`, and how far back they reach.

    Columns: key, value, count, and the id of the checkpoint that follows `skipped` newer ones below `below`, or null.
    """
    given, tag = keys_table(database, ("key", "value")), index_of(database).tags
    posting = [tag.c.key == given.c.key, tag.c.value == given.c.value]
    some = select(_ONE.label("one")).select_from(tag).where(*posting).limit(bindparam("bound", type_=BigInteger)).correlate(given)
    count = select(func.count()).select_from(some.subquery("some")).scalar_subquery()
    newest = select(tag.c.checkpoint_id).where(*posting, tag.c.checkpoint_id < bindparam("below")).order_by(tag.c.checkpoint_id.desc())
    reached = newest.limit(_ONE).offset(bindparam("skipped", type_=BigInteger)).correlate(given).scalar_subquery()
    return select(given.c.key, given.c.value, count, reached)
