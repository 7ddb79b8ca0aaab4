"""How the tables of a database are distributed, as Citus's catalogue has it."""

from __future__ import annotations

from typing import NamedTuple

from ckptstore.db.capabilities import PLAIN, Capabilities, of_distributed
from ckptstore.db.connection import Db
from ckptstore.db.shard_map import Shard, ShardMap
from ckptstore.db.sql.batch_function import FUNCTION as BATCH_FUNCTION
from ckptstore.db.sql.node_function import FUNCTION, copy_name
from ckptstore.db.sql.tables import THREAD

# The lowest hash of each shard, and whether batches can be stored there.
_SHARDS = f"""
    SELECT n.nspname::text, coalesce(s.shardminvalue::int, {-(2**31)}), s.shardid, p.node,
        p.copies = 1 AND to_regproc(quote_ident(n.nspname) || '.{copy_name(BATCH_FUNCTION, "")}' || s.shardid) IS NOT NULL
    FROM pg_catalog.pg_proc AS f
    JOIN pg_catalog.pg_namespace AS n ON n.oid = f.pronamespace
    JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.oid = to_regclass('TABLE')
    JOIN pg_catalog.pg_dist_shard AS s ON s.logicalrelid = t.oid
    CROSS JOIN LATERAL (
        SELECT min(groupid) AS node, count(*) AS copies FROM pg_catalog.pg_dist_placement WHERE shardid = s.shardid
    ) AS p
    WHERE f.proname = '{FUNCTION}' AND has_function_privilege(f.oid, 'EXECUTE')
    AND current_setting('transaction_isolation') = 'read committed'
    ORDER BY 2
"""


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


def shard_map_of(db: Db) -> ShardMap | None:
    """The shards of a store whose tables Citus distributes; None where no function stores batches, or it may not be called."""
    table = _literal(db.statements.table_name(THREAD.name))
    rows = db.execute(_SHARDS.replace("TABLE", table)).all()
    if not rows:
        return None
    shards = [Shard(shard, node) if is_usable else None for _, _, shard, node, is_usable in rows]
    return ShardMap(rows[0][0], [lowest for _, lowest, *_ in rows], shards)


def has_all_functions(db: Db) -> bool:
    """Whether the writes of every shard can be stored by functions."""
    found = shard_map_of(db)
    return found is not None and None not in found.shards


def _literal(text: str) -> str:
    return text.replace("'", "''")


def capabilities_with_citus(db: Db) -> Capabilities:
    """What a database with Citus can do."""
    found = distribution_of(db, db.statements.table_name(THREAD.name))
    return PLAIN if found is None else of_distributed(found.shards, by_thread=found.method == "h")
