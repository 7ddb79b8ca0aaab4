"""Conditions and joins that find rows by a key, whatever the planner assumes about the sizes of tables and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Join,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    cast,
    false,
    func,
    literal_column,
    null,
    select,
    tuple_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import SCATTERED
from ckptstore.db.sql.tables import CHECKPOINT, SEGMENT
from ckptstore.db.times import UtcMicroseconds


def equal_columns(one: FromClause, other: FromClause, names: Iterable[str]) -> list[ColumnElement[bool]]:
    """For each name the condition that the columns of both tables are equal."""
    return [one.c[name] == other.c[name] for name in names]


def exists_for_row(database: str, probe: Select[Any]) -> ColumnElement[bool]:
    """Whether a correlated query finds a row, evaluated for each outer row. As a join, it might read both tables whole."""
    # PostgreSQL does not turn a query with an OFFSET into a join.
    return (probe if database in ("sqlite", SCATTERED) else probe.offset(literal_column("0"))).exists()


def has_given_key(database: str, table: Table, names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a row has one of the given keys (parameters of `keys_table`): for deletes and updates by a key, or by its leading columns."""
    given = keys_table(database, names)
    if database == "sqlite":
        return tuple_(*[table.c[name] for name in names]).in_(select(*[given.c[name] for name in names]))
    # A join by the whole key: a row's ctid is unique only within its partition. Where PostgreSQL expected many keys, it might read
    # the whole table for them. Of a limit that it can't see (NULL is none) it expects a tenth of the rows, and so a single key.
    few = select(given).limit(hidden_value(database, cast(null(), BigInteger))).subquery("given")
    return and_(*equal_columns(table, few, names))


def version_entries(database: str, versions: ColumnElement[Any]) -> FromClause:
    """The entries of `channel_versions` as rows: key (the channel) and value (its version)."""
    each = func.json_each(versions) if database == "sqlite" else func.json_each_text(versions)
    links = each.table_valued(Column("key", Text), Column("value", Text), name="links")
    return links if database == "sqlite" else links.render_derived().lateral()


def layout_entries(database: str, layout: ColumnElement[Any]) -> FromClause:
    """The entries of a value's layout as rows with one column, `value`: among them the digests of its segments."""
    if database == "sqlite":
        return func.json_each(layout).table_valued(Column("value", Text), Column("type", Text), name="entries")
    return func.json_array_elements_text(layout).table_valued(Column("value", Text), name="entries").render_derived().lateral()


class OrderedJoin(Join):
    """A join that reads its left side first: SQLite's planner does not reorder a CROSS JOIN.

    The planner takes a recursive query for a million rows. Where statistics say that a table has fewer, and since 3.53 without statistics
    too, it would read the whole table and look each row up in the query's result.
    """

    inherit_cache = True


@compiles(OrderedJoin, "sqlite")
def _compile_ordered(join: OrderedJoin, compiler: SQLCompiler, **options: Any) -> str:
    options = {name: option for name, option in options.items() if name not in ("asfrom", "from_linter")}
    assert join.onclause is not None
    left, right = (compiler.process(side, asfrom=True, **options) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause, **options)}"


def lookup_join(
    database: str, rows: FromClause, table: Table, on: Iterable[ColumnElement[bool]], names: Sequence[str] = ()
) -> tuple[FromClause, FromClause]:
    """Join rows with a table by looking up each row's key; returns the join, and the table with the columns to select from it.

    A planner that does not know the values, or that planned while the table was empty, might read the whole table.

    Args:
        database: the dialect's name.
        rows: the rows to join with the table.
        table: the table to look them up in.
        on: the conditions of the join.
        names: the table's columns that are needed; all of them by default.
    """
    if database == "sqlite":
        return OrderedJoin(rows, table, and_(*on)), table
    if database == SCATTERED:
        return rows.join(table, and_(*on)), table
    # PostgreSQL does not turn a query with an OFFSET into a plain join.
    columns = [table.c[name] for name in names] or [*table.c]
    found = select(*columns).where(*on).offset(literal_column("0")).lateral(f"of_{table.name}")
    return rows.join(found, literal_column("true")), found


def namespaces_of_thread() -> CTE:
    """The namespaces of the thread `thread_id`, and a null, with the thread: found one after the other, past the rows of each."""

    def first(*after: ColumnElement[bool]) -> Any:
        names = select(CHECKPOINT.c.checkpoint_ns).where(CHECKPOINT.c.thread_id == thread_id, *after)
        return names.order_by(CHECKPOINT.c.checkpoint_ns).limit(literal_column("1"))

    thread_id = bindparam("thread_id", type_=CHECKPOINT.c.thread_id.type)
    found = select(thread_id.label("thread_id"), first().scalar_subquery().label("checkpoint_ns")).cte("namespaces", recursive=True)
    following = first(CHECKPOINT.c.checkpoint_ns > found.c.checkpoint_ns).correlate(found).scalar_subquery()
    return found.union_all(select(found.c.thread_id, following).where(found.c.checkpoint_ns.is_not(null())))


def rows_with_keys(database: str, table: Table, names: Sequence[str]) -> tuple[FromClause, FromClause]:
    """The rows of a table that have one of the given keys (parameters of `keys_table`), see `lookup_join`."""
    given = keys_table(database, names)
    return lookup_join(database, given, table, equal_columns(table, given, names))


def raw_columns(of: FromClause) -> list[ColumnElement[Any]]:
    """All columns of a table as `Db.insert` takes them: JSON as text, times as numbers."""
    return [_plain(column).label(column.name) for column in of.c]


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, JSON):
        return cast(column, Text)
    return cast(column, BigInteger) if isinstance(column.type, UtcMicroseconds) else column


def segment_lists(database: str, segments: Select[Any], of: FromClause = SEGMENT) -> Select[Any]:
    """Those of some segments that are lists of segments, with the JSON array of their digests as `listing`."""
    text = cast(of.c.data, Text) if database == "sqlite" else cast(func.convert_from(of.c.data, literal_column("'UTF8'")), JSON)
    is_list = of.c.encoding == literal_column("'list'")
    # Only a list's bytes are text: PostgreSQL must not convert others, whichever condition it evaluates first.
    listing = case((is_list, text), else_=null()).label("listing")
    return segments.with_only_columns(of.c.thread_id, listing).where(is_list)


def is_visible(checkpoints: FromClause = CHECKPOINT) -> ColumnElement[bool]:
    """Whether reads return a checkpoint. One that was pruned, and is kept only because others are rebuilt from it, is hidden."""
    return checkpoints.c.hidden.is_(false())


def hidden_value(database: str, value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Hide a value from PostgreSQL's planner, so that the plan is the same for every value."""
    return value if database in ("sqlite", SCATTERED) else select(value).scalar_subquery()
