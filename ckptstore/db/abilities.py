"""What a database offers beyond what every supported one does: a store asks once, when it checks the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckptstore.db.capabilities import HAS_CITUS, PLAIN, Capabilities
from ckptstore.db.shard_map import ShardMap
from ckptstore.db.sql.batch_function import FUNCTION, HELD_FUNCTION

if TYPE_CHECKING:
    from ckptstore.db.statement import Statements


@dataclass(slots=True)
class Abilities:
    """What the statements of a store may rely on, as `schema.require_head` found out."""

    #: The schema whose function stores batches (`sql.batch_function`); None where they are stored by one statement (`sql.batch_postgres`).
    batch_function: str | None = None
    #: Whether there is also the one that stores batches under leases; without it, each write under a lease has a transaction of its own.
    held_function: bool = False
    #: The shards whose functions store batches (`sql.node_function`); None where there are none.
    shard_map: ShardMap | None = None
    #: What the database can do.
    database: Capabilities = PLAIN
    #: Its statements, where they are other ones than those of its dialect.
    statements: Statements | None = None

    def take(self, batch_function: str | None, held_function: str | None) -> None:
        """Take what `function_queries` found."""
        self.batch_function = batch_function
        self.held_function = batch_function is not None and held_function is not None


def function_queries(threads: str) -> str:
    """Two queries in parentheses, for `Abilities.take`."""
    return ", ".join(f"({function_query(threads, name)})" for name in (FUNCTION, HELD_FUNCTION))


def function_query(threads: str, name: str) -> str:
    """A query for the schema of a function that stores batches. It is of no use where it would not see what is committed while it runs.

    On Citus, a function runs beside the tables of the coordinator, far from the threads' own node.

    Args:
        threads: the name of the table of threads in SQL: the function must be beside it, whatever else the search path has.
        name: of the function.
    """
    literal = threads.replace("'", "''")
    return f"""
        SELECT n.nspname::text FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.proname = '{name}' AND has_function_privilege(p.oid, 'EXECUTE')
        AND p.pronamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass('{literal}'))
        AND current_setting('transaction_isolation') = 'read committed'
        AND NOT {HAS_CITUS}
    """
