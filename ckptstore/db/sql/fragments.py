"""Parts of statements: tables made of parameters, conflict clauses, and correlated probes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
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
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects import postgresql, sqlite

from ckptstore.db.models import UtcMicroseconds
from ckptstore.db.sql.tables import CHECKPOINT, OBJECT_KEY, SEGMENT

_TOUCH_MICROSECONDS = 1_000_000


def keys(database: str, names: Sequence[str]) -> FromClause:
    """A table of keys, from the parameters that `key_parameters` makes."""
    if database == "sqlite":
        return json_rows(bindparam("keys", type_=Text), names)
    return unnest("keys", [(name, Text()) for name in names])


def json_rows(listing: ColumnElement[Any], names: Sequence[str]) -> FromClause:
    """A table from a JSON array of rows (SQLite)."""
    rows = func.json_each(listing).table_valued("value", name="given")
    columns = [func.json_extract(rows.c.value, literal_column(f"'$[{place}]'")).label(name) for place, name in enumerate(names)]
    return select(*columns).subquery("keys")


def key_parameters(database: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, Any]:
    """The parameters of a statement that takes a table of keys."""
    if database == "sqlite":
        return {"keys": json.dumps([list(row) for row in rows])}
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"keys_{name}": list(column) for name, column in zip(names, columns, strict=True)}


def object_keys(database: str, given: Iterable[str]) -> dict[str, Any]:
    """The parameters of a statement that takes keys of objects."""
    return key_parameters(database, OBJECT_KEY, [(key,) for key in given])


def unnest(prefix: str, columns: Sequence[tuple[str, Any]]) -> FromClause:
    """A table from one array parameter a column (PostgreSQL): `prefix_column`, ..."""
    arrays = [bindparam(f"{prefix}_{name}", type_=ARRAY(type_)) for name, type_ in columns]
    return func.unnest(*arrays).table_valued(*[Column(name, type_) for name, type_ in columns], name=prefix).render_derived()


def insert_into(database: str, table: Table) -> Any:
    """An insert that knows the database's ON CONFLICT."""
    return sqlite.insert(table) if database == "sqlite" else postgresql.insert(table)


def resolve_conflict(insert: Any, table: Table, conflict: str) -> Any:
    """`keep` the earlier row, `replace` it, `replace_object` where an object holds its bytes, or `add_up` a thread's activity.

    Activity within a second of the last that was noted is not noted: the index on that time would change with every write.
    """
    key = [column.name for column in table.primary_key]
    if conflict == "keep":
        return insert.on_conflict_do_nothing(index_elements=key)
    if conflict == "add_up":
        return _added_up(insert, table, key)
    # The object may have been lost, or be out of this store's reach: what was just sent is not.
    where = table.c.object_key.is_not(null()) if conflict == "replace_object" else None
    others = {column.name: insert.excluded[column.name] for column in table.c if column.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=others, where=where)


def _added_up(insert: Any, threads: Table, key: Sequence[str]) -> Any:
    new = insert.excluded
    later = new.updated_at > threads.c.updated_at + literal_column(str(_TOUCH_MICROSECONDS), BigInteger)
    moment = case((later, new.updated_at), else_=threads.c.updated_at)
    # On SQLite there is no row to lock, so one that stays as it is need not be written.
    where = or_(later, new.checkpoint_count != literal_column("0")) if isinstance(insert, sqlite.Insert) else None
    sums = {name: threads.c[name] + new[name] for name in ("checkpoint_count", "size")}
    return insert.on_conflict_do_update(index_elements=list(key), set_={"updated_at": moment, **sums}, where=where)


def driver_type(column: Column[Any]) -> Any:
    """The type that a driver is given: rows are made by hand, with times as integers."""
    return BigInteger() if isinstance(column.type, UtcMicroseconds) else column.type


def equal(one: FromClause, other: FromClause, names: Iterable[str]) -> list[ColumnElement[bool]]:
    """The columns of both tables are equal, name by name."""
    return [one.c[name] == other.c[name] for name in names]


def row_by_row(database: str, probe: Select[Any]) -> ColumnElement[bool]:
    """Whether a correlated query finds anything, asked for each row: a planner that knows no values would join instead, and look at all."""
    # PostgreSQL makes no join of a query with an OFFSET.
    return (probe.offset(literal_column("0")) if database == "postgresql" else probe).exists()


def named_rows(database: str, table: Table, names: Sequence[str]) -> ColumnElement[bool]:
    """Whether a row's columns equal one of the given keys: for deletions and updates that find their rows by a key, or its beginning."""
    given = keys(database, names)
    if database == "sqlite":
        return tuple_(*[table.c[name] for name in names]).in_(select(*[given.c[name] for name in names]))
    # PostgreSQL joins what is given with the table as it likes, and would read all of the table: so rows are looked up first.
    same = table.alias("same")
    found: Select[Any] = select(literal_column("same.ctid").label("row")).select_from(same).where(*equal(same, given, names))
    rows = found.offset(literal_column("0")).lateral("found")
    places = select(rows.c.row).select_from(given.join(rows, literal_column("true"))).scalar_subquery()
    return literal_column(f"{table.name}.ctid") == func.any(func.array(places))


def links_of(database: str, versions: ColumnElement[Any]) -> FromClause:
    """The entries of `channel_versions` as rows: key (the channel) and value (its version)."""
    each = func.json_each(versions) if database == "sqlite" else func.json_each_text(versions)
    links = each.table_valued(Column("key", Text), Column("value", Text), name="links")
    return links if database == "sqlite" else links.render_derived().lateral()


def entries_of(database: str, layout: ColumnElement[Any]) -> FromClause:
    """The entries of a value's layout as rows with one column, `value`: among them the digests of its segments."""
    if database == "sqlite":
        return func.json_each(layout).table_valued(Column("value", Text), Column("type", Text), name="entries")
    return func.json_array_elements_text(layout).table_valued(Column("value", Text), name="entries").render_derived().lateral()


def looked_up(database: str, rows: FromClause, table: Table, on: Iterable[ColumnElement[bool]]) -> tuple[FromClause, FromClause]:
    """Rows joined with those that a table has for each of them, looked up by key; and where the table's columns are in it.

    A planner that knows no values, or knew the table when it was empty, would start from the table, and read all of it.
    """
    if database == "sqlite":
        return rows.join(table, and_(*on)), table
    # PostgreSQL makes no plain join of a query with an OFFSET.
    found = select(table).where(*on).offset(literal_column("0")).lateral(f"of_{table.name}")
    return rows.join(found, literal_column("true")), found


def with_listing(database: str, segments: Select[Any], of: FromClause = SEGMENT) -> Select[Any]:
    """Of some segments those that name segments, with the JSON array of the names as `listing`."""
    text = cast(of.c.data, Text) if database == "sqlite" else cast(func.convert_from(of.c.data, "UTF8"), JSON)
    is_list = of.c.encoding == literal_column("'list'")
    # Only of those the bytes are text: PostgreSQL must not read the others, whatever it evaluates first.
    listing = case((is_list, text), else_=null()).label("listing")
    return segments.with_only_columns(of.c.thread_id, listing).where(is_list)


def visible() -> ColumnElement[bool]:
    """Not pruned: a checkpoint that is only kept for others is found by no reader."""
    return CHECKPOINT.c.hidden.is_(false())
