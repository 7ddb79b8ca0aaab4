"""Creates what stores batches on a distributed database: a function for all nodes, and copies of others for each shard."""

from __future__ import annotations

from collections.abc import Iterator

from ckptstore.db.connection import Db
from ckptstore.db.migration_texts import text_that_creates
from ckptstore.db.sql import batch_function, node_function
from ckptstore.db.sql.routing import PER_THREAD
from ckptstore.db.sql.tables import THREAD

_COPIED = (batch_function.FUNCTION, batch_function.HELD_FUNCTION)


def exchange_functions(db: Db, *, by_thread: bool) -> None:
    """Create the functions for the shards as they are now, and drop those that are of no use any more.

    Among these are the functions for plain tables: a process that does not know yet that they are distributed must not call them.

    Args:
        db: within a transaction, with the tables' schema as the current one.
        by_thread: whether rows are distributed by their thread.
    """
    schema = str(db.execute(f"SELECT nspname FROM pg_namespace WHERE oid = ({_NAMESPACE})").scalar_one())
    quoted = '"' + schema.replace('"', '""') + '"'
    creating = {function: text_that_creates(function) for function in _COPIED}
    for statement in _drops(db):
        db.execute(statement)
    shards = dict(_shards(db))
    for shard, tables in shards.items():
        for create in creating.values():
            db.execute(node_function.copy_for_shard(create, quoted, schema, shard, tables))
    for statement in node_function.definition(quoted, schema, [*shards], by_thread=by_thread):
        db.execute(statement)


_NAMESPACE = f"SELECT relnamespace FROM pg_class WHERE oid = '{THREAD.name}'::regclass"


def _drops(db: Db) -> Iterator[str]:
    names = "|".join(_COPIED)
    query = (
        "SELECT p.oid::regprocedure::text FROM pg_proc AS p "
        f"WHERE p.pronamespace = ({_NAMESPACE}) AND p.proname ~ '^({names})(_[0-9]+)?$|^ckpt_commit_thread_[0-9]+$'"
    )
    for (function,) in db.execute(query):
        yield f"DROP FUNCTION {function}"


def _shards(db: Db) -> Iterator[tuple[int, dict[str, str]]]:
    """The id of each shard of `ckpt_thread`, and the names of the tables of the shards beside it, by those of the distributed tables."""
    rows = db.execute(
        "SELECT c.relname::text, s.shardid FROM pg_dist_shard AS s JOIN pg_class AS c ON c.oid = s.logicalrelid "
        f"WHERE c.relnamespace = ({_NAMESPACE}) ORDER BY s.shardminvalue::int"
    )
    ids: dict[str, list[int]] = {}
    for table, shard in rows:
        if table in PER_THREAD:
            ids.setdefault(table, []).append(shard)
    for number, shard in enumerate(ids[THREAD.name]):
        yield shard, {table: f"{table}_{shards[number]}" for table, shards in ids.items()}
