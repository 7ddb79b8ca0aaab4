"""Plain names for columns and states: `hidden`, `layout`, `checkpoint_count`, and `marked` for objects.

Only names change, so this takes no longer on a large database than on a small one.

Revision: 0004, after 0003.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Table, name until 0003, name from 0004 on.
RENAMED = (
    ("ckpt_checkpoint", "support", "hidden"),
    ("ckpt_channel", "segments", "layout"),
    ("ckpt_write", "segments", "layout"),
    ("ckpt_thread", "checkpoints", "checkpoint_count"),
)


def upgrade() -> None:
    for table, before, after in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {before} TO {after}")
    op.execute("UPDATE ckpt_object SET state = 'marked' WHERE state = 'condemned'")


def downgrade() -> None:
    op.execute("UPDATE ckpt_object SET state = 'condemned' WHERE state = 'marked'")
    for table, before, after in RENAMED:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {after} TO {before}")
