"""Statements on given tags as rows of numbers (PostgreSQL): they insert, delete and find those that are given as texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Delete,
    FromClause,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    literal_column,
    null,
    select,
)

from ckptstore.db.sql.insert import insert_into
from ckptstore.db.sql.lookups import equal_columns, exists_for_row, hidden_value, lookup_join
from ckptstore.db.sql.numbered_tags import namespace_of
from ckptstore.db.sql.parameters import keys_table, unnest
from ckptstore.db.sql.tables import NUMBERED_POSTING, TAG, TAG_KEY, TAG_THREAD, TAG_VALUE, TAG_VALUE_LEFT
from ckptstore.db.sql.tag_ids import Half, UuidOf
from ckptstore.db.sql.tag_layouts import index_of

_POSTGRESQL = "postgresql"
_ONE: Select[Any] = select(literal_column("1"))
_VALUE_KEY, _THREAD_KEY = ("key", "value"), ("thread_id",)


def insert_tags(given: FromClause) -> tuple[Any, Sequence[CTE]]:
    """Insert tags that are not there, and before them the values and threads that have no number: an insert, and what it needs.

    Rows that the same statement inserts are not in what it sees of their table, so a number is looked up there and among these.

    Args:
        given: rows with the columns of `TAG`.
    """
    tags = select(*[given.c[name] for name in TAG_KEY]).cte("given_tags")
    values, threads = _new_numbers(TAG_VALUE, _VALUE_KEY, tags), _new_numbers(TAG_THREAD, _THREAD_KEY, tags)
    joined = tags.outerjoin(values, and_(*equal_columns(values, tags, _VALUE_KEY)))
    joined = joined.outerjoin(threads, and_(*equal_columns(threads, tags, _THREAD_KEY)))
    uuid = UuidOf(tags.c.checkpoint_id)
    cells: dict[str, ColumnElement[Any]] = {
        "value_no": func.coalesce(values.c.number, _number(TAG_VALUE, _VALUE_KEY, tags)),
        "half": Half(tags.c.checkpoint_id),
        "thread_no": func.coalesce(threads.c.number, _number(TAG_THREAD, _THREAD_KEY, tags)),
        "checkpoint_uuid": uuid,
        "checkpoint_id": case((uuid.is_(null()), tags.c.checkpoint_id)),
        "checkpoint_ns": func.nullif(tags.c.checkpoint_ns, literal_column("''")),
    }
    # Evaluated once for each row.
    numbered = select(*[cell.label(name) for name, cell in cells.items()]).distinct().select_from(joined).offset(literal_column("0"))
    rows = numbered.subquery("numbered")
    same = [NUMBERED_POSTING.c[name].is_not_distinct_from(rows.c[name]) for name in ("checkpoint_uuid", "checkpoint_id", "checkpoint_ns")]
    there = _ONE.select_from(NUMBERED_POSTING).where(*equal_columns(NUMBERED_POSTING, rows, ("value_no", "half", "thread_no")), *same)
    new = select(*rows.c).where(~exists_for_row(_POSTGRESQL, there))
    return insert_into(_POSTGRESQL, NUMBERED_POSTING).from_select([*cells], new), [values, threads]


def insert_tag_arrays(_database: str) -> Insert:
    """Insert tags given as one array per column (`insert.row_parameters`); those that exist stay."""
    insert, numbers = insert_tags(unnest(TAG.name, [(name, Text()) for name in TAG_KEY]))
    made: Insert = insert.add_cte(*numbers)
    return made


def _new_numbers(table: Table, key: Sequence[str], tags: CTE) -> CTE:
    """Insert what has no number; returns it with its number, also where another transaction has inserted it since.

    In an order: two transactions that insert the same never deadlock.
    """
    columns = [tags.c[name] for name in key]
    known = _ONE.select_from(table).where(*equal_columns(table, tags, key))
    new = select(*columns).distinct().where(~exists_for_row(_POSTGRESQL, known)).order_by(*columns)
    insert = insert_into(_POSTGRESQL, table).from_select(list(key), new)
    kept = insert.on_conflict_do_update(index_elements=list(key), set_={key[0]: insert.excluded[key[0]]})
    made: CTE = kept.returning(*[table.c[name] for name in ("number", *key)]).cte(f"new_{table.name}")
    return made


def _number(table: Table, key: Sequence[str], given: FromClause) -> ColumnElement[int]:
    found = select(table.c.number).where(*equal_columns(table, given, key))
    return found.correlate(given).scalar_subquery()


def _given() -> FromClause:
    """The given tags, with the numbers of what they name, for a look-up of each."""
    keys = keys_table(_POSTGRESQL, TAG_KEY)
    # Where PostgreSQL expected many keys, it might read the whole table for them, see `has_given_key`.
    few = select(keys).limit(hidden_value(_POSTGRESQL, cast(null(), BigInteger))).subquery("few")
    cells = {
        "value_no": _number(TAG_VALUE, _VALUE_KEY, few),
        "half": Half(few.c.checkpoint_id),
        "thread_no": _number(TAG_THREAD, _THREAD_KEY, few),
    }
    numbers = [cell.label(name) for name, cell in cells.items()]
    return select(*[few.c[name] for name in TAG_KEY], *numbers).offset(literal_column("0")).subquery("given")


def _is(given: FromClause) -> list[ColumnElement[bool]]:
    row = NUMBERED_POSTING
    same = equal_columns(row, given, ("value_no", "half", "thread_no"))
    return [*same, index_of(_POSTGRESQL).id_of(row) == given.c.checkpoint_id, namespace_of(row) == given.c.checkpoint_ns]


def delete_tags() -> Delete:
    """Delete the given tags."""
    return delete(NUMBERED_POSTING).where(*_is(_given()))


def delete_tags_of_thread(thread_id: ColumnElement[str]) -> Delete:
    """Delete all tags of a thread: this reads the whole table."""
    number = select(TAG_THREAD.c.number).where(TAG_THREAD.c.thread_id == thread_id).scalar_subquery()
    return delete(NUMBERED_POSTING).where(NUMBERED_POSTING.c.thread_no == number)


def tags_among() -> Select[Any]:
    """Those of the given tags that exist."""
    given = _given()
    joined, _ = lookup_join(_POSTGRESQL, given, NUMBERED_POSTING, _is(given), ["value_no"])
    return select(*[given.c[name] for name in TAG_KEY]).select_from(joined)


# --- values that no tag may have any more


def values_left(_database: str) -> Select[Any]:
    """The numbers of up to `page_size` values of deleted tags."""
    number = TAG_VALUE_LEFT.c.value_no
    return select(number).distinct().order_by(number).limit(bindparam("page_size", type_=BigInteger))


def delete_unused_values(_database: str) -> Delete:
    """Delete those of the given values that no tag has."""
    used = _ONE.select_from(NUMBERED_POSTING).where(NUMBERED_POSTING.c.value_no == TAG_VALUE.c.number)
    return delete(TAG_VALUE).where(TAG_VALUE.c.number == _given_numbers().c.number, ~exists_for_row(_POSTGRESQL, used))


def forget_values_left(_database: str) -> Delete:
    """Delete the notes of the given values."""
    return delete(TAG_VALUE_LEFT).where(TAG_VALUE_LEFT.c.value_no == _given_numbers().c.number)


def _given_numbers() -> FromClause:
    keys = keys_table(_POSTGRESQL, ("number",))
    return select(cast(keys.c.number, Integer).label("number")).limit(hidden_value(_POSTGRESQL, cast(null(), BigInteger))).subquery("given")
