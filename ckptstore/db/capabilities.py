"""What a database can do: found out when a store connects, and asked by its statements and its commits."""

from __future__ import annotations

from dataclasses import dataclass

#: Whether a database has Citus, in the queries that every connection and every store begins with.
HAS_CITUS = "EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus')"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store may rely on. The defaults are those of plain PostgreSQL and of SQLite."""

    #: All parts of a statement that changes several tables see one snapshot.
    one_snapshot: bool = True
    #: An INSERT from a query says how many rows it has inserted, also where ON CONFLICT keeps some.
    counts_inserted: bool = True
    #: A statement may join, look up and walk through rows of different threads in every way. Else it names its thread as a constant, or
    #: is one of those that `sql.routing` sends to every shard.
    joins_threads: bool = True
    #: Tables may have partitions.
    partitions: bool = True
    #: On how many shards the rows of threads are; 0 where all tables are on one server.
    shards: int = 0


PLAIN = Capabilities()


def of_distributed(shards: int, *, by_thread: bool) -> Capabilities:
    """The capabilities of a database whose tables Citus distributes.

    Args:
        shards: how many shards a table has.
        by_thread: whether rows are distributed by their thread; else all tables of the schema are on one node.
    """
    return Capabilities(one_snapshot=False, counts_inserted=False, joins_threads=not by_thread, partitions=False, shards=shards)
