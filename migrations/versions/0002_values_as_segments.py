"""Values as segments and objects.

Objects get the time of their last change of state, from which grace periods are counted, instead of from their creation. The
index of the newest checkpoints loses columns that it never needed, and becomes partial, so that statements about one thread do not
use it. The encoding of postings changes, so the tags of existing checkpoints are rebuilt.

Revision: 0002, after 0001.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from ckptstore.errors import SchemaTooNew
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.encoding import postings

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

PAGE = 1_000
KEY = ("thread_id", "checkpoint_ns", "checkpoint_id")

checkpoint = sa.table(
    "ckpt_checkpoint", *[sa.column(name, sa.Text) for name in KEY], sa.column("metadata", sa.JSON), sa.column("support", sa.Boolean)
)
tag = sa.table("ckpt_tag", *[sa.column(name, sa.Text) for name in ("key", "value", *KEY)])


def upgrade() -> None:
    # The default is for existing rows: an unknown time counts as long ago.
    op.add_column("ckpt_object", sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"))
    replace_index("changed_at")
    op.drop_index("ckpt_checkpoint_newest", "ckpt_checkpoint")
    any_id = sa.text("checkpoint_id > ''")
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id"], postgresql_where=any_id, sqlite_where=any_id)
    if not context.is_offline_mode():
        make_tags_again(op.get_bind())


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


def make_tags_again(connection: sa.Connection) -> None:
    connection.execute(sa.delete(tag))
    key = [checkpoint.c[name] for name in KEY]
    after: tuple[Any, ...] = ("", "", "")
    while True:
        page = sa.select(*key, checkpoint.c.metadata).where(checkpoint.c.support.is_(False), sa.tuple_(*key) > sa.tuple_(*after))
        rows = connection.execute(page.order_by(*key).limit(PAGE)).all()
        if not rows:
            return
        after = tuple(rows[-1][:3])
        tags = [
            posting._asdict() | dict(zip(KEY, row[:3], strict=True))
            for row in rows
            for posting in postings(row[3], unindexed_when_empty=LANGGRAPH.unindexed_when_empty)
        ]
        if tags:
            connection.execute(sa.insert(tag), tags)


def refuse_to_lose_values(connection: sa.Connection) -> None:
    segments = sa.table("ckpt_segment")
    if connection.execute(sa.select(sa.literal(1)).select_from(segments).limit(1)).first() is not None:
        raise SchemaTooNew("revision 0001 can't read values that are kept as segments; delete their threads first, or restore a backup")
