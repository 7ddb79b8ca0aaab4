"""Distributing the tables over the nodes of a Citus cluster: those of threads by their thread, the others with a copy on every node."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from ckptstore.db import schema
from ckptstore.db.capabilities import HAS_CITUS
from ckptstore.db.connection import Db
from ckptstore.db.distribution import Distribution, distribution_of, has_all_functions
from ckptstore.db.shard_functions import exchange_functions
from ckptstore.db.sql.routing import PER_THREAD
from ckptstore.db.sql.tables import PARTITIONED, THREAD
from ckptstore.db.tables import METADATA, VERSION_TABLE
from ckptstore.errors import InvalidConfig

logger = logging.getLogger(__name__)

DEFAULT_SHARDS = 32
# Each has functions of its own.
_MAX_SHARDS = 1_024

#: The first one decides where the shards of a thread are; the others are beside it.
_BY_THREAD = (THREAD.name, *sorted(PER_THREAD - {THREAD.name}))
_EVERYWHERE = (VERSION_TABLE, *sorted(METADATA.tables.keys() - PER_THREAD))

# What has to be the same on each node, with the query for it.
_OF_NODES = {
    "PostgreSQL": "SHOW server_version_num",
    "Citus": "SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'",
}


def require_shards(count: object, *, on_sqlite: bool) -> None:
    """Return if the tables of a database can have so many shards.

    Raises:
        InvalidConfig: it is no number of shards, or the database is SQLite.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MAX_SHARDS:
        raise InvalidConfig(f"shards must be a whole number from 1 to {_MAX_SHARDS}, got {count!r}")
    if on_sqlite:
        raise InvalidConfig("SQLite is one file, which can't be distributed; use the postgresql:// URL of a Citus coordinator")


def require_schema(schema: str | None, *, on_sqlite: bool) -> None:
    """Return if all tables of a schema may be on one node of a cluster.

    Raises:
        InvalidConfig: it is the database's own schema, or the database is SQLite.
    """
    if on_sqlite:
        raise InvalidConfig("SQLite is one file, which can't be distributed; use the postgresql:// URL of a Citus coordinator")
    if schema in (None, "public"):
        raise InvalidConfig("Citus places a schema as a whole, and not the one named public: name a tenant's (schema=..., --schema NAME)")


def upgrade_and_distribute(db: Db, shards: int | None) -> None:
    """Upgrade the schema if needed, and distribute its tables over the nodes of a Citus cluster.

    Tables that are not distributed yet are, in one transaction, under a lock that keeps all writers out while their rows are copied.
    Nothing happens if all of them are.

    Args:
        db: a connection to the coordinator.
        shards: how many shards each table of threads gets; None to have all tables of the schema on one node, which Citus chooses.

    Raises:
        InvalidConfig: the server has no Citus, or no nodes that can have shards, or not the same versions on all of them; the tables are
            distributed otherwise, or have partitions; a schema that is to be on one node has tables of others.
        SchemaTooNew: the database has a revision that this release does not know.
    """
    if shards is None:
        require_schema(db.statements.schema, on_sqlite=db.on_sqlite)
    else:
        require_shards(shards, on_sqlite=db.on_sqlite)
    if not db.execute(f"SELECT {HAS_CITUS}").scalar_one():
        raise InvalidConfig(
            "this database has no Citus: install it on each node, then CREATE EXTENSION citus and SELECT citus_add_node(...)"
        )
    schema.upgrade_if_needed(db)
    db.expect_long(unbounded=True)
    with db.transaction():
        schema.enter_exclusively(db)
        _require_nodes(db)
        # Otherwise Citus can't create the functions on the nodes in the same transaction.
        db.execute("SET LOCAL citus.multi_shard_modify_mode TO 'sequential'")
        started = time.perf_counter()
        changed = _place(db) if shards is None else _distribute(db, shards)
        seconds = time.perf_counter() - started
        if changed or not has_all_functions(db):
            exchange_functions(db, by_thread=shards is not None)
    if changed:
        _forget_local_rows(db, changed)
        fields = {"event": "distributed", "tables": len(changed), "shards": shards, "seconds": seconds}
        how = "all on one node" if shards is None else f"those of threads over {shards} shards each"
        logger.info("%d tables distributed, %s, in %.3f s", len(changed), how, seconds, extra=fields)
    schema.look_again(db)


def _forget_local_rows(db: Db, tables: Sequence[str]) -> None:
    """Empty the coordinator's own tables: the rows that were copied are still in them."""
    with db.transaction():
        schema.enter_exclusively(db)
        for table in tables:
            db.execute(f"SELECT truncate_local_data_after_distributing_table('{table}')")


def distribute_new_tables(db: Db) -> None:
    """On a database whose tables are distributed, distribute those that a later revision has added."""
    if db.abilities.database.one_snapshot:
        return
    if db.abilities.database.joins_threads:
        # Citus has placed new tables of the schema beside the others.
        if not has_all_functions(db):
            upgrade_and_distribute(db, None)
        return
    names = [f"'{db.statements.table_name(table)}'::regclass" for table in (*_BY_THREAD, *_EVERYWHERE)]
    found = db.execute(f"SELECT count(*) FROM pg_dist_partition WHERE logicalrelid IN ({', '.join(names)})").scalar_one()
    if found < len(names) or not has_all_functions(db):
        upgrade_and_distribute(db, db.abilities.database.shards)


def _distribute(db: Db, shards: int) -> Sequence[str]:
    """Distribute the tables that are not distributed yet; returns their names."""
    found = {table: distribution_of(db, table) for table in (*_BY_THREAD, *_EVERYWHERE)}
    _require_same(found[THREAD.name], shards)
    _require_no_partitions(db)
    missing = [table for table, distribution in found.items() if distribution is None]
    if missing:
        # All at once: a writer that has one of them would wait for another one.
        db.execute(f"LOCK TABLE {', '.join(missing)} IN SHARE ROW EXCLUSIVE MODE")
    for table in missing:
        if table not in _BY_THREAD:
            db.execute(f"SELECT create_reference_table('{table}')")
        elif table == THREAD.name:
            # Not beside tables of others that happen to be distributed by a text, too.
            db.execute(f"SELECT create_distributed_table('{table}', 'thread_id', colocate_with => 'none', shard_count => {shards})")
        else:
            db.execute(f"SELECT create_distributed_table('{table}', 'thread_id', colocate_with => '{THREAD.name}')")
    return missing


def _place(db: Db) -> Sequence[str]:
    """Have all tables of the schema on one node; returns their names, none if they are."""
    found = distribution_of(db, THREAD.name)
    if found is not None and found.method != "n":
        raise InvalidConfig(
            f"the tables are distributed by thread already, over {found.shards} shards; bring the threads to another schema: "
            "ckptstore copy --to-schema NAME"
        )
    if found is not None:
        return ()
    _require_no_partitions(db)
    names = (*_BY_THREAD, *_EVERYWHERE)
    _require_no_others(db, names)
    db.execute(f"LOCK TABLE {', '.join(names)} IN SHARE ROW EXCLUSIVE MODE")
    db.execute(f"SELECT citus_schema_distribute((SELECT relnamespace::regnamespace FROM pg_class WHERE oid = '{THREAD.name}'::regclass))")
    return names


def _require_no_others(db: Db, names: Sequence[str]) -> None:
    query = (
        "SELECT relname::text FROM pg_class "
        f"WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = '{THREAD.name}'::regclass) "
        f"AND relkind IN ('r', 'p', 'f', 'm') AND relname NOT IN ({', '.join(map(repr, names))}) ORDER BY 1"
    )
    others = [name for (name,) in db.execute(query)]
    if others:
        raise InvalidConfig(
            f"the schema has tables of others ({others[0]}), and Citus places a schema as a whole; give the tenant one of its own"
        )


def _require_texts(db: Db) -> None:
    if db.statements.numbers_tags:
        raise InvalidConfig(
            "the tags of this database were stored as numbers before it had Citus, and shards need their texts; nothing was changed; run: "
            "ckptstore downgrade 0012, then ckptstore upgrade, and distribute it again"
        )


def _require_same(found: Distribution | None, shards: int) -> None:
    if found is not None and (found.method != "h" or found.shards != shards):
        how = f"{found.shards} shards" if found.method == "h" else "one node"
        raise InvalidConfig(
            f"the tables are distributed already, over {how}; give shards={found.shards} (--shards {found.shards}), or change "
            "them with Citus: SELECT alter_distributed_table('ckpt_thread', shard_count => ..., cascade_to_colocated => true)"
        )


def _require_no_partitions(db: Db) -> None:
    names = ", ".join(f"'{table}'::regclass" for table in PARTITIONED)
    if db.execute(f"SELECT count(*) FROM pg_inherits WHERE inhparent IN ({names})").scalar_one():
        raise InvalidConfig(
            "the tables have partitions, and shards would each have as many; distribute a new schema (--schema NAME), and bring "
            "the threads there: ckptstore copy"
        )


def _require_nodes(db: Db) -> None:
    """Return if there are nodes for shards, all alike.

    Raises:
        InvalidConfig: there are none, or one has other versions; or tags, which shards have as texts, are stored as numbers.
    """
    _require_texts(db)
    if not db.execute("SELECT count(*) FROM pg_dist_node WHERE isactive AND shouldhaveshards AND noderole = 'primary'").scalar_one():
        raise InvalidConfig(
            "no node of the cluster may have shards; add workers: SELECT citus_add_node('host', 5432), or let the coordinator have them: "
            "SELECT citus_set_coordinator_host('host', 5432), citus_set_node_property('host', 5432, 'shouldhaveshards', true)"
        )
    for what, query in _OF_NODES.items():
        versions = _on_every_node(db, query)
        if len(set(versions.values())) > 1:
            raise InvalidConfig(f"the nodes have different versions of {what} ({_listed(versions)}); upgrade those that are behind")
    if "on" in (settings := _on_every_node(db, "SHOW jit")).values():
        with_jit = [node for node, setting in settings.items() if setting == "on"]
        extra = {"event": "node_with_jit", "nodes": with_jit}
        logger.warning("set jit = off on %s: compiling a statement takes longer than executing it", ", ".join(with_jit), extra=extra)


def _on_every_node(db: Db, query: str) -> dict[str, str]:
    """What a query of one value returns on each node, by the node's address.

    Raises:
        InvalidConfig: a node can't be reached.
    """
    own = str(db.execute(query).scalar_one())
    quoted = query.replace("'", "''")
    found = {"the coordinator": own}
    for node, port, success, result in db.execute(f"SELECT nodename, nodeport, success, result FROM run_command_on_workers('{quoted}')"):
        if not success:
            raise InvalidConfig(f"node {node}:{port} does not answer ({result.strip()}); nothing was changed")
        found[f"{node}:{port}"] = str(result)
    return found


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{node} {version}" for node, version in versions.items())
