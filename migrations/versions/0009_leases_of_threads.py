"""A table of who may write to a thread, and who waits for it: `saver.hold` and `one_writer`.

On PostgreSQL also a function that stores a batch under leases: it locks their rows, and calls the one of 0006. Where functions can't be
created, each write under a lease has a transaction of its own.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.exc import DBAPIError

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Text that compares as bytes.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

logger = logging.getLogger("alembic.runtime.migration")

CREATE = """
CREATE OR REPLACE FUNCTION %1$I.ckpt_commit_held_1(
    leases text[],           -- thread_id, fence
    for_schema text, wait_for_locks text, new_generation bigint, data bytea,
    entries text[], carried text[], known text[], checkpoints text[], channels text[], tags text[], segments text[],
    kept_writes text[], replaced_writes text[]
) RETURNS text LANGUAGE plpgsql VOLATILE SECURITY INVOKER AS $function$
BEGIN
    IF for_schema <> %1$L OR current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN NULL;
    END IF;
    IF wait_for_locks IS NOT NULL THEN
        PERFORM set_config('lock_timeout', wait_for_locks, true);
    END IF;
    -- Whoever takes a thread over deletes the row of its holder, and so waits for this transaction, or is seen here.
    FOR i IN 1 .. cardinality(leases) BY 2 LOOP
        PERFORM FROM %1$I.ckpt_lease AS l WHERE l.thread_id = leases[i] AND l.fence = leases[i + 1] FOR KEY SHARE;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END LOOP;
    RETURN %1$I.ckpt_commit_batch_1(
        for_schema, wait_for_locks, new_generation, data,
        entries, carried, known, checkpoints, channels, tags, segments, kept_writes, replaced_writes
    );
END
$function$
"""

# The tables' own schema: the first one on the path may be another one, and have tables of the same names one day.
NAMESPACE = "SELECT relnamespace FROM pg_class WHERE oid = 'ckpt_thread'::regclass"
SCHEMA = f"SELECT nspname FROM pg_namespace WHERE oid = ({NAMESPACE})"
DROP = f"""
SELECT format('DROP FUNCTION %I.%I', nspname, proname) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
WHERE proname = 'ckpt_commit_held_1' AND pronamespace = ({NAMESPACE})
"""

# What PostgreSQL, and what only talks like it, say where a function can't be created.
REFUSED = ("42501", "42601", "42704", "42883", "0A000")


def in_schema(statement: str) -> str:
    """A statement in which `%1$I` is the name of the tables' schema, and `%1$L` the same as a text."""
    return f"DO $do$ BEGIN EXECUTE format($sql${statement}$sql$, ({SCHEMA})); END $do$"


def upgrade() -> None:
    op.create_table(
        "ckpt_lease",
        sa.Column("thread_id", KEY, primary_key=True),
        sa.Column("place", sa.BigInteger(), primary_key=True),
        sa.Column("fence", KEY, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ttl", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        create_function()


def create_function() -> None:
    if context.is_offline_mode():
        op.execute(in_schema(CREATE))
        return
    op.execute("SAVEPOINT without_function")
    try:
        op.execute(in_schema(CREATE))
    except DBAPIError as exc:
        if getattr(exc.orig, "sqlstate", None) not in REFUSED:
            raise
        op.execute("ROLLBACK TO SAVEPOINT without_function")
        reason = str(exc.orig).partition("\n")[0]
        logger.warning("no function to store batches under leases with (%s): each write has a transaction of its own", reason)
    op.execute("RELEASE SAVEPOINT without_function")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        drop_function()
    op.drop_table("ckpt_lease")


def drop_function() -> None:
    if context.is_offline_mode():
        op.execute(in_schema("DROP FUNCTION IF EXISTS %1$I.ckpt_commit_held_1"))
        return
    # Without a DO block, which needs the right to use PL/pgSQL: it may have been revoked since.
    drop = op.get_bind().execute(sa.text(DROP)).scalar()
    if drop is not None:
        op.execute(drop.replace(":", r"\:"))
