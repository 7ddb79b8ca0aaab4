"""Values as segments and objects.

Objects get the time of their last change of state, from which grace periods are counted, instead of from their creation. The
index of the newest checkpoints loses columns that it never needed, and becomes partial, so that statements about one thread do not
use it. The encoding of postings changes, so the tags of existing checkpoints are rebuilt.

Revision: 0002, after 0001.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from ckptstore.errors import SchemaTooNew

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for existing rows: an unknown time counts as long ago.
    op.add_column("ckpt_object", sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
    replace_index("changed_at")
    op.drop_index("ckpt_checkpoint_newest", "ckpt_checkpoint")
    any_id = sa.text("checkpoint_id > ''")
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id"], postgresql_where=any_id, sqlite_where=any_id)
    # By env.py, once after the last revision of a run.
    context.config.attributes["tags_changed"] = True


def downgrade() -> None:
    if not context.is_offline_mode():
        refuse_to_lose_values(op.get_bind())
    op.drop_index("ckpt_checkpoint_newest", "ckpt_checkpoint")
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id", "thread_id", "checkpoint_ns"])
    replace_index("created_at")
    op.drop_column("ckpt_object", "changed_at")


def replace_index(moment: str) -> None:
    op.drop_index("ckpt_object_by_state", "ckpt_object")
    op.create_index("ckpt_object_by_state", "ckpt_object", ["state", moment])


def refuse_to_lose_values(connection: sa.Connection) -> None:
    segments = sa.table("ckpt_segment")
    if connection.execute(sa.select(sa.literal(1)).select_from(segments).limit(1)).first() is not None:
        raise SchemaTooNew("revision 0001 can't read values that are kept as segments; delete their threads first, or restore a backup")
