"""What the nodes of a Citus cluster know of the shards of a store's tables: rows, dead rows, statistics, and indexes that are invalid."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import THREAD

# Executed on each node. A shard has the name of its table and a number.
_ROWS = """
    SELECT coalesce(json_agg(json_build_array(c.relname, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze, c.reltuples)), '[]')
    FROM pg_class AS c JOIN pg_stat_all_tables AS s ON s.relid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = SCHEMA::regnamespace AND c.relname ~ '^ckpt_[a-z_]+_[0-9]+$'
"""
_INVALID = """
    SELECT coalesce(json_agg(json_build_array(regexp_replace(c.relname, '_[0-9]+$', ''), regexp_replace(t.relname, '_[0-9]+$', ''))), '[]')
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE NOT i.indisvalid AND c.relnamespace = SCHEMA::regnamespace AND c.relname ~ '^ckpt_[a-z_]+_[0-9]+$'
"""
_ON_EACH_NODE = """
    SELECT n.result FROM pg_class AS c,
        run_command_on_workers(replace('QUERY', 'SCHEMA', quote_literal(c.relnamespace::regnamespace::text))) AS n
    WHERE c.oid = 'THREADS'::regclass AND n.success
"""


@dataclass(slots=True)
class ShardCounts:
    """The sums over the shards of a table."""

    live_rows: int = 0
    dead_rows: int = 0
    #: Rows that changed since their shard was last analysed.
    changed_rows: int = 0
    #: Rows when their shard was last analysed.
    analysed_rows: int = 0
    #: Whether every shard was.
    is_analysed: bool = True


def counts_of_shards(db: Db) -> Mapping[str, ShardCounts]:
    """What the nodes have counted, by the names of the tables; of a table that every node has a copy of, one node's counts."""
    shards: dict[str, list[Any]] = {}
    for each in _on_each_node(db, _ROWS):
        for shard, *counts in each:
            # Copies have one name. What the first node says is enough.
            shards.setdefault(shard, counts)
    found: dict[str, ShardCounts] = {}
    for shard, (live, dead, changed, analysed) in shards.items():
        table = found.setdefault(shard.rpartition("_")[0], ShardCounts())
        table.live_rows += live
        table.dead_rows += dead
        table.changed_rows += changed
        table.analysed_rows += max(0, analysed)
        table.is_analysed &= analysed >= 0
    return found


def invalid_indexes_of_shards(db: Db) -> Mapping[str, str]:
    """The indexes that a shard has without being able to use it, and their tables."""
    return {index: table for each in _on_each_node(db, _INVALID) for index, table in each}


def _on_each_node(db: Db, query: str) -> Iterator[list[Any]]:
    threads = db.statements.table_name(THREAD.name).replace("'", "''")
    for (result,) in db.execute(_ON_EACH_NODE.replace("QUERY", query.replace("'", "''")).replace("THREADS", threads)):
        yield json.loads(result)
