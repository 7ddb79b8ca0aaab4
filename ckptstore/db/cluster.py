"""The nodes of a Citus cluster as a store finds them: which answer, which shards each has, and how large these are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ckptstore.db.connection import Db
from ckptstore.db.distribution import shard_map_of
from ckptstore.db.sql.routing import PER_THREAD
from ckptstore.db.sql.tables import THREAD


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A node."""

    #: Its address: host and port.
    name: str
    #: Why it does not answer; empty if it does.
    fault: str
    may_have_shards: bool
    #: The numbers of the shards of `ckpt_thread` that it has.
    shards: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A store on a cluster."""

    nodes: Sequence[ClusterNode]
    #: Bytes of each shard with those beside it, by the number of that of `ckpt_thread`; empty while a node does not answer.
    shard_bytes: Mapping[int, int]
    #: Shards that batches are stored in without functions.
    without_functions: Sequence[int]
    #: The names of shards that are not on the node that has the same threads' shard of `ckpt_thread`.
    astray: Sequence[str]
    #: Id and size of the thread that has most, by the sizes of its checkpoints; None without threads, or while a node does not answer.
    largest_thread: tuple[str, int] | None

    @property
    def shards(self) -> list[int]:
        """The numbers of all shards of `ckpt_thread`."""
        return sorted(shard for node in self.nodes for shard in node.shards)


def read_cluster(db: Db) -> Cluster | None:
    """Look at the cluster; None if the tables are not distributed."""
    if db.abilities.database.one_snapshot:
        return None
    nodes = _nodes(db)
    all_answer = not any(node.fault for node in nodes)
    largest = db.execute(f"SELECT thread_id, size FROM {_table(db)} ORDER BY size DESC LIMIT 1").all() if all_answer else ()
    shard_map = shard_map_of(db)
    served = () if shard_map is None else [shard.id for shard in shard_map.shards if shard is not None]
    return Cluster(
        nodes=nodes,
        shard_bytes=_shard_bytes(db) if all_answer else {},
        without_functions=[shard for node in nodes for shard in node.shards if shard not in served],
        astray=[str(name) for (name,) in db.execute(_with_tables(db, _ASTRAY))],
        largest_thread=(str(largest[0][0]), int(largest[0][1])) if largest else None,
    )


def _nodes(db: Db) -> list[ClusterNode]:
    faults = {
        f"{host}:{port}": "" if success else str(result).strip()
        for host, port, success, result in db.execute("SELECT nodename, nodeport, success, result FROM run_command_on_workers('SELECT 1')")
    }
    return [
        ClusterNode(name=name, fault=faults.get(name, ""), may_have_shards=may, shards=shards)
        for name, may, shards in db.execute(_with_tables(db, _NODES))
    ]


def _shard_bytes(db: Db) -> dict[int, int]:
    return {shard: int(size) for shard, size in db.execute(_with_tables(db, _BYTES))}


# The shards of a thread have the same lowest hash in every table.
_BESIDE = """
    pg_dist_shard AS s JOIN pg_dist_placement AS p USING (shardid)
    JOIN pg_dist_shard AS t ON t.logicalrelid = THREADS AND t.shardminvalue IS NOT DISTINCT FROM s.shardminvalue
"""
_NODES = """
    SELECT n.nodename || ':' || n.nodeport, n.shouldhaveshards, ARRAY(
        SELECT p.shardid FROM pg_dist_placement AS p JOIN pg_dist_shard AS s USING (shardid)
        WHERE p.groupid = n.groupid AND s.logicalrelid = THREADS ORDER BY s.shardminvalue::int
    )
    FROM pg_dist_node AS n WHERE n.isactive AND n.noderole = 'primary' ORDER BY n.groupid
"""
_ASTRAY = f"""
    SELECT s.logicalrelid::text || '_' || s.shardid FROM {_BESIDE} JOIN pg_dist_placement AS o ON o.shardid = t.shardid
    WHERE s.logicalrelid IN (TABLES) AND o.groupid <> p.groupid ORDER BY 1
"""
_BYTES = f"""
    SELECT t.shardid, sum(z.size)::bigint FROM {_BESIDE} JOIN citus_shard_sizes() AS z ON z.shard_id = s.shardid
    WHERE s.logicalrelid IN (TABLES) GROUP BY t.shardid
"""


def _with_tables(db: Db, query: str) -> str:
    names = ", ".join(f"'{_table(db, name)}'::regclass" for name in sorted(PER_THREAD))
    return query.replace("THREADS", f"'{_table(db)}'::regclass").replace("TABLES", names)


def _table(db: Db, name: str = THREAD.name) -> str:
    return db.statements.table_name(name).replace("'", "''")
