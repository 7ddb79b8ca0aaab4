"""Rows of threads get the number of their checkpoints and their bytes; checkpoints get an index by time; a table of settings.

Tags are rebuilt: empty dicts and lists now have one, and values below an empty key get a path of their own.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


COUNT = """
    UPDATE ckpt_thread SET
        checkpoints = (SELECT count(*) FROM ckpt_checkpoint c WHERE c.thread_id = ckpt_thread.thread_id AND NOT c.support),
        size = (SELECT coalesce(sum(c.size), 0) FROM ckpt_checkpoint c WHERE c.thread_id = ckpt_thread.thread_id AND NOT c.support)
"""


def upgrade() -> None:
    op.add_column("ckpt_thread", sa.Column("checkpoints", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("ckpt_thread", sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(COUNT)
    op.create_index("ckpt_checkpoint_by_time", "ckpt_checkpoint", ["created_at"])
    op.create_table(
        "ckpt_setting",
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("value", sa.JSON(), nullable=False),
        sqlite_with_rowid=False,
    )
    # By env.py, once after the last revision of a run.
    context.config.attributes["tags_changed"] = True


def downgrade() -> None:
    op.drop_table("ckpt_setting")
    op.execute("DELETE FROM ckpt_tag WHERE value = 'e'")
    op.drop_index("ckpt_checkpoint_by_time", "ckpt_checkpoint")
    op.drop_column("ckpt_thread", "size")
    op.drop_column("ckpt_thread", "checkpoints")
