"""What a database offers beyond what every supported one does: a store asks once, when it checks the schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckptstore.db.capabilities import HAS_CITUS, PLAIN, Capabilities
from ckptstore.db.sql.batch_function import FUNCTION

if TYPE_CHECKING:
    from ckptstore.db.statement import Statements


@dataclass(slots=True)
class Abilities:
    """What the statements of a store may rely on, as `schema.require_head` found out."""

    #: The schema whose function stores batches (`sql.batch_function`); None where they are stored by one statement (`sql.batch_postgres`).
    batch_function: str | None = None
    #: What the database can do.
    database: Capabilities = PLAIN
    #: Its statements, where they are other ones than those of its dialect.
    statements: Statements | None = None


def batch_function_query(threads: str) -> str:
    """A query for `Abilities.batch_function`. The function is of no use where it would not see what is committed while it runs.

    On Citus, a function runs beside the tables of the coordinator, far from the threads' own node.

    Args:
        threads: the name of the table of threads in SQL: the function must be beside it, whatever else the search path has.
    """
    literal = threads.replace("'", "''")
    return f"""
        SELECT n.nspname::text FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.proname = '{FUNCTION}' AND has_function_privilege(p.oid, 'EXECUTE')
        AND p.pronamespace = (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = to_regclass('{literal}'))
        AND current_setting('transaction_isolation') = 'read committed'
        AND NOT {HAS_CITUS}
    """
