"""The first schema: threads, checkpoints, channels, segments, writes, objects and tags.

Revision: 0001, the first.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Ids compare as bytes everywhere: on PostgreSQL that is the collation "C".
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def key(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, KEY, nullable=nullable)


def number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def value_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("type", sa.Text(), nullable=False),
        number("size"),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("segments", sa.JSON(), nullable=True),
    ]


def upgrade() -> None:
    op.create_table(
        "ckpt_thread",
        key("thread_id"),
        number("created_at"),
        number("updated_at"),
        number("generation"),
        sa.PrimaryKeyConstraint("thread_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ckpt_thread_by_activity", "ckpt_thread", ["updated_at", "thread_id"])
    op.create_table(
        "ckpt_checkpoint",
        key("thread_id"),
        key("checkpoint_ns"),
        key("checkpoint_id"),
        key("parent_checkpoint_id", nullable=True),
        number("created_at"),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("channel_versions", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        number("size"),
        sa.Column("support", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("thread_id", "checkpoint_ns", "checkpoint_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ckpt_checkpoint_newest", "ckpt_checkpoint", ["checkpoint_id", "thread_id", "checkpoint_ns"])
    op.create_table(
        "ckpt_channel",
        key("thread_id"),
        key("checkpoint_ns"),
        key("channel"),
        key("version"),
        *value_columns(),
        sa.PrimaryKeyConstraint("thread_id", "checkpoint_ns", "channel", "version"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ckpt_segment",
        key("thread_id"),
        key("digest"),
        number("size"),
        sa.Column("encoding", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        key("object_key", nullable=True),
        sa.PrimaryKeyConstraint("thread_id", "digest"),
    )
    op.create_index("ckpt_segment_by_object", "ckpt_segment", ["object_key"])
    op.create_table(
        "ckpt_write",
        key("thread_id"),
        key("checkpoint_ns"),
        key("checkpoint_id"),
        key("task_id"),
        number("idx"),
        key("task_path"),
        key("channel"),
        number("created_at"),
        *value_columns(),
        sa.PrimaryKeyConstraint("thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ckpt_object",
        key("key"),
        key("digest"),
        number("size"),
        number("created_at"),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index("ckpt_object_by_digest", "ckpt_object", ["digest"])
    op.create_index("ckpt_object_by_state", "ckpt_object", ["state", "created_at"])
    op.create_table(
        "ckpt_tag",
        key("key"),
        key("value"),
        key("checkpoint_id"),
        key("thread_id"),
        key("checkpoint_ns"),
        sa.PrimaryKeyConstraint("key", "value", "checkpoint_id", "thread_id", "checkpoint_ns"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("tag", "object", "write", "segment", "channel", "checkpoint", "thread"):
        op.drop_table(f"ckpt_{table}")
