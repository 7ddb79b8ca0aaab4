"""What the nodes of a Citus cluster know of the shards of a store's tables: rows, dead rows, statistics, and indexes that are invalid."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import THREAD

# Executed on each node. A shard has the name of its table and a number, and so have its indexes.
_SHARDS = """
    SELECT coalesce(json_agg(json_build_array(c.relname, s.n_live_tup, s.n_dead_tup, s.n_mod_since_analyze, c.reltuples, ARRAY(
        SELECT regexp_replace(x.relname, '_[0-9]+$', '')
        FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND NOT i.indisvalid
    ))), '[]')
    FROM pg_class AS c JOIN pg_stat_all_tables AS s ON s.relid = c.oid
    WHERE c.relkind = 'r' AND c.relnamespace = SCHEMA::regnamespace AND c.relname ~ '^ckpt_[a-z_]+_[0-9]+$'
"""
_ON_EACH_NODE = """
    SELECT n.result FROM pg_class AS c,
        run_command_on_workers(replace('QUERY', 'SCHEMA', quote_literal(c.relnamespace::regnamespace::text))) AS n
    WHERE c.oid = 'THREADS'::regclass AND n.success
"""


@dataclass(slots=True)
class ShardHealth:
    """What is known of the shards of a table, together."""

    live_rows: int = 0
    dead_rows: int = 0
    #: Rows that changed since their shard was last analysed.
    changed_rows: int = 0
    #: Rows when their shard was last analysed.
    analysed_rows: int = 0
    #: Whether every shard was.
    is_analysed: bool = True
    #: The names of the table's indexes that a shard has without being able to use them.
    invalid_indexes: set[str] = field(default_factory=set)


def read_shard_health(db: Db) -> Mapping[str, ShardHealth]:
    """Ask the nodes; by the names of the tables. Of a table that every node has a copy of, one node's rows count."""
    threads = db.statements.table_name(THREAD.name).replace("'", "''")
    text = _ON_EACH_NODE.replace("QUERY", _SHARDS.replace("'", "''")).replace("THREADS", threads)
    shards: dict[str, list[Any]] = {}
    found: dict[str, ShardHealth] = {}
    for (result,) in db.execute(text):
        for shard, *rows, invalid_indexes in json.loads(result):
            found.setdefault(_table_of(shard), ShardHealth()).invalid_indexes.update(invalid_indexes)
            # Copies have one name.
            shards.setdefault(shard, rows)
    for shard, (live, dead, changed, analysed) in shards.items():
        table = found[_table_of(shard)]
        table.live_rows += live
        table.dead_rows += dead
        table.changed_rows += changed
        table.analysed_rows += max(0, analysed)
        table.is_analysed &= analysed >= 0
    return found


def _table_of(shard: str) -> str:
    return shard.rpartition("_")[0]
