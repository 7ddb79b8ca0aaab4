"""A table of who may write to a thread, and who waits for it: `saver.hold` and `one_writer`.

On PostgreSQL also a function that stores a batch under leases: it locks their rows, and calls the one of 0006. Where functions can't be
created, each write under a lease has a transaction of its own.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ckptstore.db.migrated_functions import create_function, drop_function

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Text that compares as bytes.
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

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
        create_function(CREATE, "store batches under leases with", "each write has a transaction of its own")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        drop_function("ckpt_commit_held_1")
    op.drop_table("ckpt_lease")
