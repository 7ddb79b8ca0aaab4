"""Checksums of checkpoints, channel values and writes; checkpoints say how many stored values they have.

Columns are added and no row is touched, so this takes no longer on a large database than on a small one. Rows that exist already have no
checksum: reads accept them as they are, and `verify` counts them.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("ckpt_checkpoint", "ckpt_channel", "ckpt_write")


def upgrade() -> None:
    op.add_column("ckpt_checkpoint", sa.Column("value_count", sa.Integer(), nullable=True))
    for table in TABLES:
        op.add_column(table, sa.Column("checksum", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, "checksum")
    op.drop_column("ckpt_checkpoint", "value_count")
