"""The index of the objects that segments refer to leaves out segments that refer to none: nearly all, and each put wrote a page of it.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    refers = sa.text("object_key IS NOT NULL")
    op.drop_index("ckpt_segment_by_object", "ckpt_segment")
    op.create_index("ckpt_segment_by_object", "ckpt_segment", ["object_key"], postgresql_where=refers, sqlite_where=refers)


def downgrade() -> None:
    op.drop_index("ckpt_segment_by_object", "ckpt_segment")
    op.create_index("ckpt_segment_by_object", "ckpt_segment", ["object_key"])
