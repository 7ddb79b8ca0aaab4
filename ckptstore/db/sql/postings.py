"""Conditions on the tag index, and what it says about values: how many checkpoints have them, and how far back.

The tags of a checkpoint are at one place below each of its values, see `Place`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from ckptstore.db.sql.lookups import equal_columns, exists_for_row, lookup_join
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHECKPOINT_KEY, TAG, TAG_OWNER, TAG_VALUE
from ckptstore.db.sql.tags import VALUE_KEY, owner_of
from ckptstore.db.tag_ids import first_id, id_order, id_rest, id_text, is_below

_ONE: ColumnElement[int] = literal_column("1")


class Place(NamedTuple):
    """Where the tags of a checkpoint are in the index, below each of its values."""

    id_order: ColumnElement[Any]
    id_rest: ColumnElement[int]
    owner_id: ColumnElement[int]


def place_of_tag(row: FromClause) -> Place:
    """The place that a row of the index is at."""
    return Place(*[row.c[name] for name in Place._fields])


def place_of_checkpoint(checkpoints: FromClause) -> Place:
    """The place of a row with the key of a checkpoint."""
    owner = select(TAG_OWNER.c.id).where(*owner_of(checkpoints)).correlate(checkpoints).scalar_subquery()
    return Place(id_order(checkpoints.c.checkpoint_id), id_rest(checkpoints.c.checkpoint_id), owner)


class Owned(NamedTuple):
    """Rows of the index joined with their owners, and the key of each one's checkpoint."""

    joined: FromClause
    thread_id: ColumnElement[str]
    checkpoint_ns: ColumnElement[str]
    checkpoint_id: ColumnElement[str]


def owned(database: str, rows: FromClause, of: FromClause) -> Owned:
    """Join rows with the owners of the tags among them (`of`)."""
    joined, owner = lookup_join(database, rows, TAG_OWNER, [TAG_OWNER.c.id == of.c.owner_id])
    return Owned(joined, owner.c.thread_id, owner.c.checkpoint_ns, id_text(of.c.id_order, of.c.id_rest, owner.c.own_id))


def value_id(key: ColumnElement[str], value: ColumnElement[str]) -> ScalarSelect[int]:
    """The number of a value; null if no checkpoint ever had it."""
    return select(TAG_VALUE.c.id).where(TAG_VALUE.c.key == key, TAG_VALUE.c.value == value).scalar_subquery()


def given_value(prefix: str, suffix: str = "") -> ScalarSelect[int]:
    """The number of the value in the parameters `prefix_key` and `prefix_value`, with the suffix."""
    return value_id(bindparam(f"{prefix}_key", type_=Text()), bindparam(f"{prefix}_value{suffix}", type_=Text()))


def has_posting(database: str, place: Place, prefix: str, *, several: bool = False) -> ColumnElement[bool]:
    """Whether a checkpoint has a posting: `prefix_key`, and `prefix_value` or one of `prefix_values`."""
    probe = TAG.alias(prefix)
    wanted = probe.c.value_id.in_(_one_of(database, prefix)) if several else probe.c.value_id == given_value(prefix)
    return exists_for_row(database, select(_ONE).select_from(probe).where(wanted, *at(probe, place)))


def at(tag: FromClause, place: Place) -> list[ColumnElement[bool]]:
    """The condition that a row of the index is at a place."""
    return [tag.c[name] == column for name, column in place._asdict().items()]


def _one_of(database: str, prefix: str) -> Select[Any]:
    """The numbers of the values `prefix_values` of `prefix_key`, each looked up by itself."""
    given = text_list(database, f"{prefix}_values").subquery(f"{prefix}_given")
    on = [TAG_VALUE.c.key == bindparam(f"{prefix}_key", type_=Text()), TAG_VALUE.c.value == given.c[0]]
    joined, value = lookup_join(database, given, TAG_VALUE, on, ["id"])
    return select(value.c.id).select_from(joined)


def text_list(database: str, parameter: str) -> Select[Any]:
    """The texts of a parameter that holds several: a JSON array on SQLite, an array on PostgreSQL."""
    if database == "sqlite":
        return select(func.json_each(bindparam(parameter, type_=Text)).table_valued("value", name=parameter).c.value)
    each = func.unnest(bindparam(parameter, type_=ARRAY(Text()))).table_valued("value", name=parameter).render_derived()
    return select(each.c.value)


def _values(database: str, source: str) -> FromClause:
    """The numbers of the values that a `list`, `span` or `span and below` allows."""
    if source == "list":
        return _one_of(database, "source").subquery("source_numbers")
    number, key, value = TAG_VALUE.c.id, TAG_VALUE.c.key, TAG_VALUE.c.value
    within = select(number).where(key == bindparam("source_key"), value >= bindparam("source_low"), value < bindparam("source_high"))
    if source == "span":
        return within.subquery("source_numbers")
    # Two ranges of the index: for one condition with an OR, a planner might read the whole table.
    below = select(number).where(key >= bindparam("source_first_below"), key < bindparam("source_after_below"))
    return union_all(within, below).subquery("source_numbers")


def _postings(database: str, source: str, names: Sequence[str]) -> tuple[FromClause, FromClause]:
    """The postings of a `list`, `span` or `span and below`, and the table with these of their columns."""
    values = _values(database, source)
    return lookup_join(database, values, TAG, [TAG.c.value_id == values.c.id], names)


def collected(database: str, source: str) -> FromClause:
    """The places of the checkpoints that have postings of a `list`, `span` or `span and below`: each once."""
    joined, tag = _postings(database, source, Place._fields)
    return select(*place_of_tag(tag)).select_from(joined).distinct().subquery("collected")


def count_of_postings(database: str, source: str) -> Select[Any]:
    """How many postings a source has (`list`, `span` or `span and below`), counted up to `bound`."""
    # A column that the index has.
    joined, _ = _postings(database, source, ["value_id"])
    some = select(_ONE).select_from(joined).limit(bindparam("bound", type_=BigInteger)).subquery("some")
    return select(func.count()).select_from(some)


def checkpoints_with_postings(database: str) -> Select[Any]:
    """The checkpoints that have one of the given postings: (thread, namespace, id)."""
    given = keys_table(database, VALUE_KEY)
    values, value = lookup_join(database, given, TAG_VALUE, equal_columns(TAG_VALUE, given, VALUE_KEY))
    tags, tag = lookup_join(database, values, TAG, [TAG.c.value_id == value.c.id])
    found = owned(database, tags, tag)
    return select(*[getattr(found, name) for name in CHECKPOINT_KEY]).select_from(found.joined)


def weights_of_postings(database: str) -> Select[Any]:
    """For each posting given as a key: how many checkpoints have it, counted up to `bound`, and how far back they reach.

    Columns: key, value, count, and the id of the checkpoint that follows `skipped` newer ones below `below`, or null: the least of the
    ids that are in the same place in the order.
    """
    given = keys_table(database, VALUE_KEY)
    numbered = select(given, value_id(given.c.key, given.c.value).correlate(given).label("id")).subquery("numbered")
    posting = TAG.c.value_id == numbered.c.id
    some = select(_ONE.label("one")).select_from(TAG).where(posting).limit(bindparam("bound", type_=BigInteger)).correlate(numbered)
    count = select(func.count()).select_from(some.subquery("some")).scalar_subquery()
    older = is_below(TAG.c.id_order, bindparam("below", type_=Text()))
    newest = select(first_id(TAG.c.id_order)).where(posting, older).order_by(TAG.c.id_order.desc())
    reached = newest.limit(_ONE).offset(bindparam("skipped", type_=BigInteger)).correlate(numbered).scalar_subquery()
    return select(numbered.c.key, numbered.c.value, count, reached)
