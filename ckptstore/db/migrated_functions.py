"""Creates and drops functions of PostgreSQL's in migrations, beside ckptstore's tables."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.exc import DBAPIError

logger = logging.getLogger("alembic.runtime.migration")

# The tables' own schema: the first one on the path may be another one, and have tables of the same names one day.
_NAMESPACE = "SELECT relnamespace FROM pg_class WHERE oid = 'ckpt_thread'::regclass"
_SCHEMA = f"SELECT nspname FROM pg_namespace WHERE oid = ({_NAMESPACE})"
_DROP = f"""
SELECT format('DROP FUNCTION %I.%I', nspname, proname) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE proname = :name AND pronamespace = ({_NAMESPACE})
"""

# What PostgreSQL, and what only talks like it, say where a function can't be created.
_REFUSED = ("42501", "42601", "42704", "42883", "0A000")


def create_function(statement: str, purpose: str, instead: str) -> None:
    """Create a function. Where that is refused, the migration continues without it, and the log says so.

    Args:
        statement: creates it: `%1$I` in it is the name of the tables' schema, and `%1$L` the same as a text.
        purpose: what the function is for, as the log says it: `no function to ...`.
        instead: what is done without it.
    """
    create_functions([statement], purpose, instead)


def create_functions(statements: Sequence[str], purpose: str, instead: str) -> bool:
    """Like `create_function`, for several that are of use only together; returns whether there are all of them, or none."""
    if context.is_offline_mode():
        for statement in statements:
            op.execute(_in_schema(statement))
        return True
    op.execute("SAVEPOINT without_function")
    try:
        for statement in statements:
            op.execute(_in_schema(statement))
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) not in _REFUSED:
            raise
        op.execute("ROLLBACK TO SAVEPOINT without_function")
        reason = str(exc.orig).partition("\n")[0]
        logger.warning("no function to %s (%s): %s", purpose, reason, instead)
        return False
    finally:
        op.execute("RELEASE SAVEPOINT without_function")
    return True


def drop_function(name: str) -> None:
    """Drop a function, if there is one of this name beside the tables."""
    if context.is_offline_mode():
        op.execute(_in_schema(f"DROP FUNCTION IF EXISTS %1$I.{name}"))
        return
    # Without a DO block, which needs the right to use PL/pgSQL: it may have been revoked since.
    drop = op.get_bind().execute(sa.text(_DROP), {"name": name}).scalar()
    if drop is not None:
        op.execute(drop.replace(":", r"\:"))


def _in_schema(statement: str) -> str:
    return f"DO $do$ BEGIN EXECUTE format($sql${statement}$sql$, ({_SCHEMA})); END $do$"
