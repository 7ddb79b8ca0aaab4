"""Statements on tags as rows: inserting, deleting and finding given ones, and what belongs to none any more.

A given tag is a row of `TAG_ROW`. Its value and its owner get their numbers before it is inserted.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    FromClause,
    Select,
    bindparam,
    cast,
    delete,
    literal_column,
    null,
    or_,
    select,
    tuple_,
)

from ckptstore.db.sql.insert import insert_into
from ckptstore.db.sql.lookups import equal_columns, exists_for_row, hidden_value, lookup_join
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.tables import CHECKPOINT, TAG, TAG_OWNER, TAG_ROW, TAG_VALUE
from ckptstore.db.tag_ids import id_order, id_rest, own_id

VALUE_KEY = ("key", "value")
OWNER_KEY = ("thread_id", "checkpoint_ns", "own_id")
TAG_COLUMNS = tuple(column.name for column in TAG.c)
_ONE: Select[Any] = select(literal_column("1"))


def number_values(database: str, given: FromClause | None = None) -> Any:
    """Insert the values of given tags that are new.

    Args:
        database: the dialect's name.
        given: the tags; parameters of `keys_table` by default.
    """
    insert = insert_into(database, TAG_VALUE).from_select(VALUE_KEY, new_values(database, _given(database, given)))
    return insert.on_conflict_do_nothing(index_elements=VALUE_KEY)


def number_owners(database: str, given: FromClause | None = None) -> Any:
    """Insert the owners of given tags that are new, see `number_values`."""
    insert = insert_into(database, TAG_OWNER).from_select(OWNER_KEY, new_owners(database, _given(database, given)))
    return insert.on_conflict_do_nothing(index_elements=OWNER_KEY)


def insert_tags(database: str, given: FromClause | None = None) -> Any:
    """Insert given tags whose values and owners have numbers; those that exist stay, see `number_values`."""
    rows = numbered(database, _given(database, given)).subquery("numbered")
    if database == "sqlite":
        # Without a WHERE, SQLite parses the ON of ON CONFLICT as that of a join.
        found = select(rows).where(literal_column("true"))
        return insert_into(database, TAG).from_select(TAG_COLUMNS, found).on_conflict_do_nothing(index_elements=TAG_COLUMNS)
    same = _ONE.select_from(TAG).where(*equal_columns(TAG, rows, TAG_COLUMNS))
    return insert_into(database, TAG).from_select(TAG_COLUMNS, select(rows).distinct().where(~exists_for_row(database, same)))


def _given(database: str, given: FromClause | None) -> FromClause:
    return keys_table(database, TAG_ROW) if given is None else given


def new_values(database: str, given: FromClause) -> Select[Any]:
    """The values of tags that have no number: in an order, so that two transactions that insert the same never deadlock."""
    known = _ONE.select_from(TAG_VALUE).where(*equal_columns(TAG_VALUE, given, VALUE_KEY))
    columns = [given.c[name] for name in VALUE_KEY]
    return select(*columns).distinct().where(~exists_for_row(database, known)).order_by(*columns)


def new_owners(database: str, given: FromClause) -> Select[Any]:
    """The owners of tags that have no number."""
    owners = select(given.c.thread_id, given.c.checkpoint_ns, own_id(given.c.checkpoint_id).label("own_id")).distinct().subquery("owners")
    known = _ONE.select_from(TAG_OWNER).where(*equal_columns(TAG_OWNER, owners, OWNER_KEY))
    return select(owners).where(~exists_for_row(database, known))


def numbered(database: str, given: FromClause, *others: str) -> Select[Any]:
    """Given tags as rows of the index, where their values and owners have numbers; with other columns that are given."""
    values, value = lookup_join(database, given, TAG_VALUE, equal_columns(TAG_VALUE, given, VALUE_KEY))
    joined, owner = lookup_join(database, values, TAG_OWNER, owner_of(given))
    order, rest = id_order(given.c.checkpoint_id).label("id_order"), id_rest(given.c.checkpoint_id).label("id_rest")
    columns = (value.c.id.label("value_id"), order, rest, owner.c.id.label("owner_id"))
    return select(*columns, *[given.c[name] for name in others]).select_from(joined)


def owner_of(checkpoints: FromClause) -> list[ColumnElement[bool]]:
    """For rows with the key of a checkpoint, the condition that a row of `TAG_OWNER` is that of its tags."""
    in_namespace = equal_columns(TAG_OWNER, checkpoints, ("thread_id", "checkpoint_ns"))
    return [*in_namespace, TAG_OWNER.c.own_id == own_id(checkpoints.c.checkpoint_id)]


def delete_tags(database: str) -> Delete:
    """Delete given tags (parameters of `keys_table`)."""
    rows = numbered(database, keys_table(database, TAG_ROW))
    if database == "sqlite":
        return delete(TAG).where(tuple_(*TAG.c).in_(rows))
    # See `has_given_key`.
    few = rows.limit(hidden_value(database, cast(null(), BigInteger))).subquery("given")
    return delete(TAG).where(*equal_columns(TAG, few, TAG_COLUMNS))


def tags_among(database: str) -> Select[Any]:
    """Those of the given tags that exist."""
    rows = numbered(database, keys_table(database, TAG_ROW), *TAG_ROW).subquery("numbered")
    same = _ONE.select_from(TAG).where(*equal_columns(TAG, rows, TAG_COLUMNS))
    return select(*[rows.c[name] for name in TAG_ROW]).where(exists_for_row(database, same))


def delete_tags_of_thread(_database: str) -> Delete:
    """Delete every tag of a thread. It reads the whole index, which is in the order of the values."""
    owners = select(TAG_OWNER.c.id).where(TAG_OWNER.c.thread_id == bindparam("thread_id"))
    return delete(TAG).where(TAG.c.owner_id.in_(owners))


def delete_unused_owners(database: str) -> Delete:
    """Delete what a thread's namespaces are numbered by where they have no checkpoint left."""
    same = [CHECKPOINT.c[name] == TAG_OWNER.c[name] for name in ("thread_id", "checkpoint_ns")]
    named = or_(TAG_OWNER.c.own_id == literal_column("''"), own_id(CHECKPOINT.c.checkpoint_id) == TAG_OWNER.c.own_id)
    has_checkpoint = exists_for_row(database, _ONE.select_from(CHECKPOINT).where(*same, named))
    return delete(TAG_OWNER).where(TAG_OWNER.c.thread_id == bindparam("thread_id"), ~has_checkpoint)


def values_after(database: str) -> Select[Any]:
    """Numbers of values after `after`, in order, and whether a tag has each."""
    used = exists_for_row(database, _ONE.select_from(TAG).where(TAG.c.value_id == TAG_VALUE.c.id))
    after = TAG_VALUE.c.id > bindparam("after", type_=BigInteger)
    return select(TAG_VALUE.c.id, used).where(after).order_by(TAG_VALUE.c.id).limit(bindparam("page_size", type_=BigInteger))


def delete_unused_values(database: str) -> Delete:
    """Delete those of the given values (`id`, as text) that no tag has."""
    given = keys_table(database, ("id",))
    used = exists_for_row(database, _ONE.select_from(TAG).where(TAG.c.value_id == TAG_VALUE.c.id))
    return delete(TAG_VALUE).where(TAG_VALUE.c.id.in_(select(cast(given.c.id, BigInteger))), ~used)
