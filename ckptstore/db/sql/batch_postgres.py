"""Writing: inserts, the batch in one statement, and what has to be known before."""

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
from ckptstore.db.sql.fragments import driver_type, equal, insert_into, resolve_conflict, row_by_row, unnest
from ckptstore.db.sql.insert import column_arrays
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, THREAD, Row

_ONE: Select[Any] = select(literal_column("1"))
_UNITS = [
    ("thread_id", Text()),
    ("moment", BigInteger()),
    ("generation", BigInteger()),
    ("is_checkpoint", Boolean()),
    ("size", BigInteger()),
    ("unit", BigInteger()),
]


def entry_parameters(rows: Sequence[Row]) -> dict[str, Any]:
    """The parameters of a `commit_batch` that say what each entry does to its thread: rows with the columns of `_UNITS`."""
    return column_arrays([column for column, _ in _UNITS], rows, "units")


def batch_parameters(part: str, rows: Sequence[Row], entry_nos: Sequence[int]) -> dict[str, Any]:
    """The parameters of one part of a `commit_batch`: its rows, and for each row the number of its entry."""
    columns = BATCH_NEEDS[part][1] if part in BATCH_NEEDS else [column.name for column in BATCH_ROWS[part][0].c]
    return {**column_arrays(columns, rows, part), f"{part}_unit": list(entry_nos)}


def commit_batch(_database: str, parts: frozenset[str]) -> GenerativeSelect:
    """A whole batch in one statement (PostgreSQL): returns the numbers of the units that went in.

    One snapshot serves all of its parts. A unit stays out, with everything of it, when what it needs is not stored, when
    a checkpoint of its id is there already (the careful way replaces it), or when a deletion got in between: the thread's
    row then has another generation than in the snapshot.

    Args:
        _database: always PostgreSQL.
        parts: which of `BATCH_ROWS` and `BATCH_NEEDS` the batch has; each costs its parameters.
    """
    fit = _fit(parts)
    threads = _add_up_threads(fit)
    allowed = _allowed(fit, threads)
    went_in = _with_checkpoint(allowed, _insert_checkpoints(allowed)) if "checkpoints" in parts else allowed
    inserts = [_insert_part(name, went_in) for name in BATCH_ROWS if name in parts and name != "checkpoints"]
    return select(went_in.c.unit).add_cte(threads, *inserts)


def _rows(name: str) -> FromClause:
    table = BATCH_ROWS[name][0]
    return unnest(name, [*((column.name, driver_type(column)) for column in table.c), ("unit", BigInteger())])


def _fit(parts: frozenset[str]) -> CTE:
    """The units that find what they need, and whose checkpoint is new."""
    units = unnest("units", _UNITS)
    fit = select(*units.c)
    unfit = [_lacking(name) for name in BATCH_NEEDS if name in parts]
    if "checkpoints" in parts:
        unfit.append(_present())
    if unfit:
        left_out = (union_all(*unfit) if len(unfit) > 1 else unfit[0]).cte("left_out")
        fit = fit.where(units.c.unit.not_in(select(left_out.c.unit)))
    return fit.cte("fit")


def _add_up_threads(fit: CTE) -> CTE:
    """The rows of the threads, locked; each counts its units that fit. Where one then stays out, the careful way counts anew."""
    new = {
        "created_at": func.min(fit.c.moment),
        "updated_at": func.max(fit.c.moment),
        "generation": func.min(fit.c.generation),
        "checkpoint_count": func.count().filter(fit.c.is_checkpoint),
        "size": cast(func.sum(fit.c.size), BigInteger),
    }
    # In the order of their ids: two processes that lock the same threads never deadlock.
    rows = select(*[new.get(c.name, fit.c.thread_id) for c in THREAD.c]).group_by(fit.c.thread_id).order_by(fit.c.thread_id)
    insert = resolve_conflict(insert_into("postgresql", THREAD).from_select([c.name for c in THREAD.c], rows), THREAD, "add_up")
    made: CTE = insert.returning(THREAD.c.thread_id, THREAD.c.generation).cte("threads")
    return made


def _allowed(fit: CTE, threads: CTE) -> CTE:
    """Of the units that fit, those whose thread's row is the one in the snapshot, or was in nobody's way."""
    seen = select(THREAD.c.thread_id, THREAD.c.generation).subquery("seen")
    undisturbed = (
        select(threads.c.thread_id)
        .outerjoin(seen, seen.c.thread_id == threads.c.thread_id)
        .where(or_(seen.c.thread_id.is_(None), seen.c.generation == threads.c.generation))
    )
    return select(fit.c.unit, fit.c.is_checkpoint).where(_among(fit.c.thread_id, undisturbed)).cte("allowed")


def _among(value: ColumnElement[Any], rows: Select[Any]) -> ColumnElement[bool]:
    """Whether a value is among rows, which are hashed once: a plain IN becomes a join, and ours compares each with each."""
    return value.in_(rows).is_(true())


def _lacking(name: str) -> Select[Any]:
    table, key = BATCH_NEEDS[name]
    needed = unnest(name, [*((column, Text()) for column in key), ("unit", BigInteger())])
    return select(needed.c.unit).where(~row_by_row("postgresql", _ONE.select_from(table).where(*equal(table, needed, key))))


def _present() -> Select[Any]:
    rows = _keys_of_checkpoints()
    there = _ONE.select_from(CHECKPOINT).where(*equal(CHECKPOINT, rows, CHECKPOINT_KEY))
    return select(rows.c.unit).where(row_by_row("postgresql", there))


def _insert_checkpoints(allowed: CTE) -> CTE:
    rows = _rows("checkpoints")
    wanted = select(*[rows.c[c.name] for c in CHECKPOINT.c]).where(_among(rows.c.unit, select(allowed.c.unit)))
    insert = insert_into("postgresql", CHECKPOINT).from_select([column.name for column in CHECKPOINT.c], wanted)
    kept: CTE = resolve_conflict(insert, CHECKPOINT, "keep").returning(*[CHECKPOINT.c[name] for name in CHECKPOINT_KEY]).cte("inserted")
    return kept


def _with_checkpoint(allowed: CTE, inserted: CTE) -> CTE:
    """Of the allowed units, the writes, and the checkpoints that were not there before."""
    rows = _keys_of_checkpoints()
    key = tuple_(*[rows.c[name] for name in CHECKPOINT_KEY])
    new = select(rows.c.unit).where(_among(key, select(*[inserted.c[name] for name in CHECKPOINT_KEY])))
    return select(allowed.c.unit).where(or_(~allowed.c.is_checkpoint, _among(allowed.c.unit, new))).cte("went_in")


def _keys_of_checkpoints() -> FromClause:
    return unnest("checkpoints", [*((name, Text()) for name in CHECKPOINT_KEY), ("unit", BigInteger())])


def _insert_part(name: str, went_in: CTE) -> CTE:
    table, conflict = BATCH_ROWS[name]
    rows = _rows(name)
    wanted = select(*[rows.c[column.name] for column in table.c]).where(_among(rows.c.unit, select(went_in.c.unit)))
    insert = resolve_conflict(insert_into("postgresql", table).from_select([c.name for c in table.c], wanted), table, conflict)
    cte: CTE = insert.cte(f"new_{name}")
    return cte
