"""A table of the load that savers have, minute by minute, for `ckptstore doctor`.

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ckpt_load",
        sa.Column("started_at", sa.BigInteger(), primary_key=True),
        sa.Column("process", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("writes", sa.BigInteger(), nullable=False),
        sa.Column("commits", sa.BigInteger(), nullable=False),
        sa.Column("bytes_written", sa.BigInteger(), nullable=False),
        sa.Column("commit_p99_microseconds", sa.BigInteger(), nullable=True),
        sa.Column("lock_wait_microseconds", sa.BigInteger(), nullable=True),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), nullable=False),
        sa.Column("queue_depth", sa.Integer(), nullable=False),
        sa.Column("connections_in_use", sa.Integer(), nullable=False),
        sa.Column("connections_limit", sa.Integer(), nullable=False),
        sa.Column("searched", sa.JSON(), nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("ckpt_load")
