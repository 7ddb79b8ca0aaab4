"""A whole batch as one statement on PostgreSQL: data-modifying CTEs that insert from arrays, in autocommit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    ColumnElement,
    FromClause,
    GenerativeSelect,
    Select,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from ckptstore.db.sql.batch_parts import BATCH_NEEDS, BATCH_ROWS
from ckptstore.db.sql.insert import column_arrays, insert_into, resolve_conflict
from ckptstore.db.sql.lookups import equal_columns, exists_for_row
from ckptstore.db.sql.numbered_rows import insert_tags
from ckptstore.db.sql.parameters import driver_type, unnest
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, TAG, THREAD, Row
from ckptstore.db.sql.tag_layouts import has_numbers

_ONE: Select[Any] = select(literal_column("1"))
_ENTRY_COLUMNS = [
    ("thread_id", Text()),
    ("written_at", BigInteger()),
    ("generation", BigInteger()),
    ("is_checkpoint", Boolean()),
    ("size", BigInteger()),
    ("entry_no", BigInteger()),
]


def entry_parameters(rows: Sequence[Row], lock_timeout: str | None) -> dict[str, Any]:
    """The parameters of a `commit_batch` that do not depend on its parts.

    Args:
        rows: the changes of each entry to its thread, with the columns of `_ENTRY_COLUMNS`.
        lock_timeout: how long to wait for the row of a thread, as PostgreSQL takes it; None for as long as the server lets it.
    """
    return {**column_arrays([column for column, _ in _ENTRY_COLUMNS], rows, "entries"), "lock_timeout": lock_timeout}


def batch_parameters(part: str, rows: Sequence[Row], entry_nos: Sequence[int]) -> dict[str, Any]:
    """The parameters of one part of a `commit_batch`: its rows, and for each row the number of its entry."""
    columns = BATCH_NEEDS[part][1] if part in BATCH_NEEDS else [column.name for column in BATCH_ROWS[part][0].c]
    return {**column_arrays(columns, rows, part), f"{part}_entry_no": list(entry_nos)}


def commit_batch(database: str, parts: frozenset[str]) -> GenerativeSelect:
    """A whole batch in one statement; returns the numbers of the entries that were stored.

    One snapshot serves all of its parts. Nothing of an entry is stored if a row that it requires is missing, if its checkpoint
    exists already (`writes.replace` then replaces it), or if a deletion in its thread committed after the snapshot was taken: the
    thread's row then has another generation than in the snapshot.

    Args:
        database: PostgreSQL, see `tag_layouts`.
        parts: which of `BATCH_ROWS` and `BATCH_NEEDS` the batch has; each adds parameters to send.
    """
    storable = _storable(parts)
    threads = _update_threads(storable)
    undisturbed = _undisturbed(storable, threads)
    stored = _with_new_checkpoint(undisturbed, _insert_checkpoints(undisturbed)) if "checkpoints" in parts else undisturbed
    inserts = [cte for name in BATCH_ROWS if name in parts and name != "checkpoints" for cte in _insert_part(database, name, stored)]
    return select(stored.c.entry_no).add_cte(threads, *inserts)


def _rows(name: str) -> FromClause:
    table = BATCH_ROWS[name][0]
    return unnest(name, [*((column.name, driver_type(column)) for column in table.c), ("entry_no", BigInteger())])


def _storable(parts: frozenset[str]) -> CTE:
    """The entries whose required rows exist, and whose checkpoint does not."""
    entries = unnest("entries", _ENTRY_COLUMNS)
    storable = select(*entries.c).select_from(entries.join(_lock_timeout(), true()))
    unstorable = [_missing(name) for name in BATCH_NEEDS if name in parts]
    if "checkpoints" in parts:
        unstorable.append(_existing())
    if unstorable:
        excluded = (union_all(*unstorable) if len(unstorable) > 1 else unstorable[0]).cte("excluded")
        storable = storable.where(entries.c.entry_no.not_in(select(excluded.c.entry_no)))
    return storable.cte("storable")


def _lock_timeout() -> CTE:
    """Bounds how long the statement waits for each lock from here on; with a null the bound is unchanged. It costs no round trip."""
    wanted = func.coalesce(bindparam("lock_timeout", type_=Text()), func.current_setting("lock_timeout"))
    return select(func.set_config("lock_timeout", wanted, true())).cte("lock_timeout")


def _update_threads(storable: CTE) -> CTE:
    """Insert or update the rows of the threads, which locks them.

    They count every storable entry; the caller recounts the threads of those that were not stored.
    """
    new = {
        "created_at": func.min(storable.c.written_at),
        "updated_at": func.max(storable.c.written_at),
        "generation": func.min(storable.c.generation),
        "checkpoint_count": func.count().filter(storable.c.is_checkpoint),
        "size": cast(func.sum(storable.c.size), BigInteger),
    }
    # In the order of their ids: two processes that lock the same threads never deadlock.
    rows = select(*[new.get(c.name, storable.c.thread_id) for c in THREAD.c]).group_by(storable.c.thread_id).order_by(storable.c.thread_id)
    insert = resolve_conflict(insert_into("postgresql", THREAD).from_select([c.name for c in THREAD.c], rows), THREAD, "add_up")
    made: CTE = insert.returning(THREAD.c.thread_id, THREAD.c.generation).cte("threads")
    return made


def _undisturbed(storable: CTE, threads: CTE) -> CTE:
    """The storable entries in whose thread no deletion committed since the snapshot: its row is new, or has the snapshot's generation."""
    # A subquery for each row, which is found by its key: a join might read the whole table.
    in_snapshot = select(THREAD.c.generation).where(THREAD.c.thread_id == threads.c.thread_id).scalar_subquery()
    generation = threads.c.generation
    unchanged = select(threads.c.thread_id).where(generation == func.coalesce(in_snapshot, generation))
    return select(storable.c.entry_no, storable.c.is_checkpoint).where(_is_in(storable.c.thread_id, unchanged)).cte("undisturbed")


def _is_in(value: ColumnElement[Any], rows: Select[Any]) -> ColumnElement[bool]:
    """Whether a value is among rows, which are hashed once. A plain IN becomes a join, perhaps a nested loop over all pairs."""
    return value.in_(rows).is_(true())


def _missing(name: str) -> Select[Any]:
    table, key = BATCH_NEEDS[name]
    needed = unnest(name, [*((column, Text()) for column in key), ("entry_no", BigInteger())])
    return select(needed.c.entry_no).where(~exists_for_row("postgresql", _ONE.select_from(table).where(*equal_columns(table, needed, key))))


def _existing() -> Select[Any]:
    rows = _checkpoint_keys()
    existing = _ONE.select_from(CHECKPOINT).where(*equal_columns(CHECKPOINT, rows, CHECKPOINT_KEY))
    return select(rows.c.entry_no).where(exists_for_row("postgresql", existing))


def _insert_checkpoints(undisturbed: CTE) -> CTE:
    rows = _rows("checkpoints")
    wanted = select(*[rows.c[c.name] for c in CHECKPOINT.c]).where(_is_in(rows.c.entry_no, select(undisturbed.c.entry_no)))
    insert = insert_into("postgresql", CHECKPOINT).from_select([column.name for column in CHECKPOINT.c], wanted)
    kept: CTE = resolve_conflict(insert, CHECKPOINT, "keep").returning(*[CHECKPOINT.c[name] for name in CHECKPOINT_KEY]).cte("inserted")
    return kept


def _with_new_checkpoint(undisturbed: CTE, inserted: CTE) -> CTE:
    """The undisturbed entries without those whose checkpoint was not inserted, because another transaction had inserted it."""
    rows = _checkpoint_keys()
    key = tuple_(*[rows.c[name] for name in CHECKPOINT_KEY])
    new = select(rows.c.entry_no).where(_is_in(key, select(*[inserted.c[name] for name in CHECKPOINT_KEY])))
    return select(undisturbed.c.entry_no).where(or_(~undisturbed.c.is_checkpoint, _is_in(undisturbed.c.entry_no, new))).cte("stored")


def _checkpoint_keys() -> FromClause:
    return unnest("checkpoints", [*((name, Text()) for name in CHECKPOINT_KEY), ("entry_no", BigInteger())])


def _insert_part(database: str, name: str, stored: CTE) -> Sequence[CTE]:
    table, conflict = BATCH_ROWS[name]
    rows = _rows(name)
    wanted = select(*[rows.c[column.name] for column in table.c]).where(_is_in(rows.c.entry_no, select(stored.c.entry_no)))
    if table is TAG and has_numbers(database):
        tags, numbers = insert_tags(wanted.subquery("wanted"))
        return [*numbers, tags.cte("new_tags")]
    insert = resolve_conflict(insert_into("postgresql", table).from_select([c.name for c in table.c], wanted), table, conflict)
    return [insert.cte(f"new_{name}")]
