"""Rows of threads get the number of their checkpoints and their bytes; checkpoints get an index by time; a table of settings.

Tags are rebuilt: empty dicts and lists now have one, and values below an empty key get a path of their own.

Revision: 0003, after 0002.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.tags.encoding import postings

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

PAGE = 1_000
KEY = ("thread_id", "checkpoint_ns", "checkpoint_id")

COUNT = """
    UPDATE ckpt_thread SET
        checkpoints = (SELECT count(*) FROM ckpt_checkpoint c WHERE c.thread_id = ckpt_thread.thread_id AND NOT c.support),
        size = (SELECT coalesce(sum(c.size), 0) FROM ckpt_checkpoint c WHERE c.thread_id = ckpt_thread.thread_id AND NOT c.support)
"""

checkpoint = sa.table(
    "ckpt_checkpoint", *[sa.column(name, sa.Text) for name in KEY], sa.column("metadata", sa.JSON), sa.column("support", sa.Boolean)
)
tag = sa.table("ckpt_tag", *[sa.column(name, sa.Text) for name in ("key", "value", *KEY)])


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
    if not context.is_offline_mode():
        make_tags_again(op.get_bind())


def downgrade() -> None:
    op.drop_table("ckpt_setting")
    op.execute("DELETE FROM ckpt_tag WHERE value = 'e'")
    op.drop_index("ckpt_checkpoint_by_time", "ckpt_checkpoint")
    op.drop_column("ckpt_thread", "size")
    op.drop_column("ckpt_thread", "checkpoints")


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
