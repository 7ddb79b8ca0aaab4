"""An index of the checkpoints whose ids don't belong to the time of their creation: with it, a search by time is one between two ids.

Revision: 0012, after 0011.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# As in `ckptstore.db.id_times`, which says what it means.
ON_SQLITE = (
    "checkpoint_id < printf('%08x', ((min(max(created_at, 0), 100000000000000000) + 12219292800000000) * 10 >> 28) - 1) "
    "OR checkpoint_id >= printf('%08x', ((min(max(created_at, 0), 100000000000000000) + 12219292800000000) * 10 >> 28) + 1)"
)
ON_POSTGRESQL = (
    "checkpoint_id < lpad(to_hex(((least(greatest(created_at, 0), 100000000000000000) + 12219292800000000) * 10 >> 28) - 1), 8, '0') "
    "OR checkpoint_id >= lpad(to_hex(((least(greatest(created_at, 0), 100000000000000000) + 12219292800000000) * 10 >> 28) + 1), 8, '0')"
)


def upgrade() -> None:
    conditions = {"sqlite_where": sa.text(ON_SQLITE), "postgresql_where": sa.text(ON_POSTGRESQL)}
    op.create_index("ckpt_checkpoint_off_time", "ckpt_checkpoint", ["created_at"], **conditions)


def downgrade() -> None:
    op.drop_index("ckpt_checkpoint_off_time", "ckpt_checkpoint")
