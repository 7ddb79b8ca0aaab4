"""Objects remember when their state changed: a period of grace counts from there, not from their creation.

And the index of the newest checkpoints loses columns that it never needed, and is kept from statements about one thread.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # A default for rows that are there; 0001 wrote none, so it never counts.
    op.add_column("ckpt_object", sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
    _replace_index("changed_at")
    op.drop_index("ckpt_checkpoint_newest", "ckpt_checkpoint")
    any_id = sa.text("checkpoint_id > ''")
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id"], postgresql_where=any_id, sqlite_where=any_id)


def downgrade() -> None:
    op.drop_index("ckpt_checkpoint_newest", "ckpt_checkpoint")
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id", "thread_id", "checkpoint_ns"])
    _replace_index("created_at")
    op.drop_column("ckpt_object", "changed_at")


def _replace_index(moment: str) -> None:
    op.drop_index("ckpt_object_by_state", "ckpt_object")
    op.create_index("ckpt_object_by_state", "ckpt_object", ["state", moment])
