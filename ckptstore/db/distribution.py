"""How the tables of a database are distributed, as Citus's catalogue has it."""

from __future__ import annotations

from typing import NamedTuple

from ckptstore.db.capabilities import PLAIN, Capabilities, of_distributed
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import THREAD
from ckptstore.db.sql.thread_function import FUNCTION


class Distribution(NamedTuple):
    """How a table is distributed."""

    #: By Citus: `h` by a hash of a column, `n` by no column.
    method: str
    #: The number of its shards.
    shards: int
    #: The tables with the same number have the shards of the same threads on the same nodes.
    colocation_id: int


def distribution_of(db: Db, table: str) -> Distribution | None:
    """How a table of a database with Citus is distributed; None if it is an ordinary one."""
    shards = "SELECT count(*)::int FROM pg_catalog.pg_dist_shard AS s WHERE s.logicalrelid = p.logicalrelid"
    rows = db.execute(
        f"SELECT p.partmethod::text, ({shards}), p.colocationid::int FROM pg_catalog.pg_dist_partition AS p "
        f"WHERE p.logicalrelid = to_regclass('{_literal(table)}')"
    ).all()
    return Distribution(*rows[0]) if rows else None


def thread_function_of(db: Db) -> str | None:
    """The schema whose function stores the writes of one thread; None where it is not there, or may not be called."""
    rows = db.execute(
        "SELECT n.nspname::text FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace "
        f"WHERE p.proname = '{FUNCTION}' AND has_function_privilege(p.oid, 'EXECUTE') AND p.pronamespace = "
        f"(SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass('{_literal(db.statements.table_name(THREAD.name))}'))"
    ).all()
    return rows[0][0] if rows else None


def _literal(text: str) -> str:
    return text.replace("'", "''")


def capabilities_with_citus(db: Db) -> Capabilities:
    """What a database with Citus can do."""
    found = distribution_of(db, db.statements.table_name(THREAD.name))
    return PLAIN if found is None else of_distributed(found.shards, by_thread=found.method == "h")
