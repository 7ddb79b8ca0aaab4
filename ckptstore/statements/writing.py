"""Writing: inserts, the batch in one statement, and what has to be known before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, Column, GenerativeSelect, Insert, Select, Table, Text, and_, bindparam, cast, exists, false, null, or_, select
from sqlalchemy.dialects import postgresql

from ckptstore.statements.parts import (
    CHANNEL,
    CHECKPOINT,
    CHECKPOINT_KEY,
    MISSING_CHANNELS_KEY,
    TAG,
    THREAD,
    VERSION_KEY,
    WRITE,
    equal,
    insert_into,
    keys,
    resolved,
    unnest,
    wire,
)


def insert_rows(database: str, table: Table, conflict: str) -> Insert:
    """Insert rows with the table's columns, in their order: one row a run on SQLite, arrays on PostgreSQL."""
    insert = insert_into(database, table)
    if database == "sqlite":
        insert = insert.values({column.name: bindparam(column.name, type_=wire(column)) for column in table.c})
    else:
        rows = unnest(table.name, [(column.name, wire(column)) for column in table.c])
        insert = insert.from_select([column.name for column in table.c], select(*rows.c))
    made: Insert = resolved(insert, table, conflict)
    return made


def row_parameters(table: Table, rows: Sequence[Sequence[Any]], prefix: str | None = None) -> dict[str, Any]:
    """The parameters of an `insert_rows` on PostgreSQL: an array a column."""
    columns = list(zip(*rows, strict=True)) or [()] * len(table.c)
    return {f"{prefix or table.name}_{column.name}": list(values) for column, values in zip(table.c, columns, strict=True)}


def commit_batch(database: str, parts: frozenset[str]) -> GenerativeSelect:
    """A whole batch in one statement (PostgreSQL): returns the keys of the checkpoints that went in.

    One snapshot serves all of its parts. A checkpoint stays out, with its channels and tags, when its id is there
    already (the careful way replaces it), when a channel that it carries over is not stored, or when a deletion got
    in between: the upsert of its thread then sees another generation than the snapshot does.

    Args:
        database: its name.
        parts: which of `checkpoints`, `kept_writes` and `replaced_writes` the batch has; each costs its parameters.
    """
    threads = _insert_cte(THREAD, THREAD.name, "touch", THREAD.c.thread_id, THREAD.c.created_at, THREAD.c.generation)
    writes = [_insert_cte(WRITE, name, conflict) for name, conflict in WRITE_PARTS.items() if name in parts]
    if "checkpoints" not in parts:
        nothing = [cast(null(), Text).label(name) for name in CHECKPOINT_KEY]
        return select(*nothing).where(false()).add_cte(threads, *writes)
    inserted = _insert_checkpoints(threads)
    return select(*inserted.c).add_cte(_insert_of(CHANNEL, inserted, "replace"), _insert_of(TAG, inserted, "keep"), *writes)


#: Parts of a batch that are rows of `ckpt_write`, and what happens to a row that is there.
WRITE_PARTS = {"kept_writes": "keep", "replaced_writes": "replace"}


def _insert_checkpoints(threads: CTE) -> CTE:
    seen = select(THREAD.c.thread_id, THREAD.c.created_at, THREAD.c.generation).subquery("seen")
    same = and_(seen.c.created_at == threads.c.created_at, seen.c.generation == threads.c.generation)
    settled = (
        select(threads.c.thread_id)
        .select_from(threads.outerjoin(seen, seen.c.thread_id == threads.c.thread_id))
        .where(or_(seen.c.thread_id.is_(None), same))
        .cte("settled")
    )
    carried = unnest("carried", [(name, Text()) for name in MISSING_CHANNELS_KEY])
    stored = exists().where(*equal(CHANNEL, carried, VERSION_KEY))
    lacking = select(*[carried.c[name] for name in CHECKPOINT_KEY]).where(~stored).cte("lacking")
    rows = unnest(CHECKPOINT.name, [(column.name, wire(column)) for column in CHECKPOINT.c])
    wanted = select(*rows.c).where(
        exists().where(settled.c.thread_id == rows.c.thread_id),
        ~exists().where(*equal(lacking, rows, CHECKPOINT_KEY)),
    )
    insert = postgresql.insert(CHECKPOINT).from_select([column.name for column in CHECKPOINT.c], wanted)
    kept: CTE = resolved(insert, CHECKPOINT, "keep").returning(*[CHECKPOINT.c[name] for name in CHECKPOINT_KEY]).cte("inserted")
    return kept


def _insert_cte(table: Table, name: str, conflict: str, *returning: Column[Any]) -> CTE:
    rows = unnest(name, [(column.name, wire(column)) for column in table.c])
    insert = resolved(postgresql.insert(table).from_select([c.name for c in table.c], select(*rows.c)), table, conflict)
    cte: CTE = (insert.returning(*returning) if returning else insert).cte(f"new_{name}")
    return cte


def _insert_of(table: Table, inserted: CTE, conflict: str) -> CTE:
    """Insert what belongs to the checkpoints that went in; channel rows carry their checkpoint's id for this alone."""
    columns = [(column.name, wire(column)) for column in table.c]
    if "checkpoint_id" not in table.c:
        columns.append(("checkpoint_id", Text()))
    rows = unnest(table.name, columns)
    wanted = select(*[rows.c[column.name] for column in table.c]).where(exists().where(*equal(inserted, rows, CHECKPOINT_KEY)))
    insert = resolved(postgresql.insert(table).from_select([c.name for c in table.c], wanted), table, conflict)
    cte: CTE = insert.cte(f"new_{table.name}")
    return cte


def missing_channels(database: str) -> Select[Any]:
    """Of the channel versions given as keys, those that are not stored, with the checkpoint that carries them."""
    given_keys = keys(database, MISSING_CHANNELS_KEY)
    return select(*[given_keys.c[name] for name in MISSING_CHANNELS_KEY]).where(~exists().where(*equal(CHANNEL, given_keys, VERSION_KEY)))


def metadata_of(database: str) -> Select[Any]:
    """Key and metadata of those of the given checkpoints that exist."""
    given_keys = keys(database, CHECKPOINT_KEY)
    columns = [CHECKPOINT.c[name] for name in CHECKPOINT_KEY]
    return select(*columns, cast(CHECKPOINT.c.metadata, Text)).join(given_keys, and_(*equal(CHECKPOINT, given_keys, CHECKPOINT_KEY)))
