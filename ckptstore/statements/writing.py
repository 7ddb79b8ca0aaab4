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
    Insert,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from ckptstore.statements.parts import (
    CHANNEL,
    CHECKPOINT,
    CHECKPOINT_KEY,
    SEGMENT,
    SEGMENT_KEY,
    TAG,
    THREAD,
    VERSION_KEY,
    WRITE,
    equal,
    insert_into,
    keys,
    resolved,
    row_by_row,
    unnest,
    wire,
)

#: What a batch may hold beside its threads: the table of its rows, and what happens to a row that is there.
BATCH_ROWS = {
    "checkpoints": (CHECKPOINT, "keep"),
    "channels": (CHANNEL, "replace"),
    "tags": (TAG, "keep"),
    "segments": (SEGMENT, "keep"),
    "kept_writes": (WRITE, "keep"),
    "replaced_writes": (WRITE, "replace"),
}

_ONE: Select[Any] = select(literal_column("1"))
_UNITS = [
    ("thread_id", Text()),
    ("moment", BigInteger()),
    ("generation", BigInteger()),
    ("is_checkpoint", Boolean()),
    ("size", BigInteger()),
    ("unit", BigInteger()),
]

#: What a batch's units need to be there already, and where it has to be.
BATCH_NEEDS = {"carried": (CHANNEL, VERSION_KEY), "known": (SEGMENT, SEGMENT_KEY)}


def insert_rows(database: str, table: Table, conflict: str) -> Insert:
    """Insert rows with the table's columns, in their order: one on SQLite (`Prepared.run_rows` repeats it), arrays on PostgreSQL."""
    insert = insert_into(database, table)
    if database == "sqlite":
        insert = insert.values({column.name: bindparam(column.name, type_=wire(column)) for column in table.c})
    else:
        rows = unnest(table.name, [(column.name, wire(column)) for column in table.c])
        insert = insert.from_select([column.name for column in table.c], select(*rows.c))
    made: Insert = resolved(insert, table, conflict)
    return made


def row_parameters(table: Table, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The parameters of an `insert_rows` on PostgreSQL: an array a column."""
    return _arrays([column.name for column in table.c], rows, table.name)


def batch_parameters(name: str, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The parameters of one part of a `commit_batch`: rows that end with the number of their unit."""
    if name == "units":
        return _arrays([column for column, _ in _UNITS], rows, name)
    columns = BATCH_NEEDS[name][1] if name in BATCH_NEEDS else [column.name for column in BATCH_ROWS[name][0].c]
    return _arrays((*columns, "unit"), rows, name)


def _arrays(names: Sequence[str], rows: Sequence[Sequence[Any]], prefix: str) -> dict[str, Any]:
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    return {f"{prefix}_{name}": list(values) for name, values in zip(names, columns, strict=True)}


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
    return unnest(name, [*((column.name, wire(column)) for column in table.c), ("unit", BigInteger())])


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
        "checkpoints": func.count().filter(fit.c.is_checkpoint),
        "size": cast(func.sum(fit.c.size), BigInteger),
    }
    # In the order of their ids: two processes that lock the same threads never deadlock.
    rows = select(*[new.get(c.name, fit.c.thread_id) for c in THREAD.c]).group_by(fit.c.thread_id).order_by(fit.c.thread_id)
    insert = resolved(insert_into("postgresql", THREAD).from_select([c.name for c in THREAD.c], rows), THREAD, "add_up")
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
    kept: CTE = resolved(insert, CHECKPOINT, "keep").returning(*[CHECKPOINT.c[name] for name in CHECKPOINT_KEY]).cte("inserted")
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
    insert = resolved(insert_into("postgresql", table).from_select([c.name for c in table.c], wanted), table, conflict)
    cte: CTE = insert.cte(f"new_{name}")
    return cte


def missing_needs(database: str, need: str) -> Select[Any]:
    """Of what units need (`BATCH_NEEDS`), given as keys that end with the number of the unit, what is not stored."""
    _, key = BATCH_NEEDS[need]
    given_keys = keys(database, (*key, "unit"))
    unit = cast(given_keys.c.unit, BigInteger)
    return select(unit, *[given_keys.c[name] for name in key]).where(is_missing(need, given_keys))


def is_missing(need: str, given_keys: FromClause) -> ColumnElement[bool]:
    """Whether what units need is not stored, for each of the given keys."""
    table, key = BATCH_NEEDS[need]
    return ~exists().where(*equal(table, given_keys, key))


def metadata_of(database: str) -> Select[Any]:
    """Key and metadata of those of the given checkpoints that exist."""
    given_keys = keys(database, CHECKPOINT_KEY)
    columns = [CHECKPOINT.c[name] for name in CHECKPOINT_KEY]
    return select(*columns, cast(CHECKPOINT.c.metadata, Text)).join(given_keys, and_(*equal(CHECKPOINT, given_keys, CHECKPOINT_KEY)))
