"""On SQLite, a tag names its thread by a number, which takes 3 bytes where the id takes 25 or more; `ckpt_tag` becomes a view.

Revision: 0011, after 0010.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = ("key", "value", "checkpoint_id", "thread_id", "checkpoint_ns")

VIEW = """
CREATE VIEW ckpt_tag AS
SELECT posting.key, posting.value, posting.checkpoint_id, thread.thread_id, posting.checkpoint_ns
FROM ckpt_tag_posting AS posting JOIN ckpt_tag_thread AS thread ON thread.number = posting.thread_no
"""
# A tag that exists is kept.
INSERT = """
CREATE TRIGGER ckpt_tag_insert INSTEAD OF INSERT ON ckpt_tag BEGIN
    INSERT INTO ckpt_tag_thread (thread_id) VALUES (NEW.thread_id) ON CONFLICT (thread_id) DO NOTHING;
    INSERT INTO ckpt_tag_posting (key, value, checkpoint_id, thread_no, checkpoint_ns)
    SELECT NEW.key, NEW.value, NEW.checkpoint_id, number, NEW.checkpoint_ns FROM ckpt_tag_thread WHERE thread_id = NEW.thread_id
    ON CONFLICT (key, value, checkpoint_id, thread_no, checkpoint_ns) DO NOTHING;
END
"""
DELETE = """
CREATE TRIGGER ckpt_tag_delete INSTEAD OF DELETE ON ckpt_tag BEGIN
    DELETE FROM ckpt_tag_posting
    WHERE key = OLD.key AND value = OLD.value AND checkpoint_id = OLD.checkpoint_id AND checkpoint_ns = OLD.checkpoint_ns
    AND thread_no = (SELECT number FROM ckpt_tag_thread WHERE thread_id = OLD.thread_id);
END
"""
# Who deletes a thread's row has deleted its tags.
FORGET = """
CREATE TRIGGER ckpt_tag_thread_deleted AFTER DELETE ON ckpt_thread BEGIN
    DELETE FROM ckpt_tag_thread WHERE thread_id = OLD.thread_id;
END
"""
# Also of tags whose thread has no row.
THREADS = """
INSERT INTO ckpt_tag_thread (thread_id)
SELECT thread_id FROM ckpt_thread
UNION ALL
SELECT DISTINCT thread_id FROM ckpt_tag AS tag WHERE NOT EXISTS (SELECT 1 FROM ckpt_thread AS thread WHERE thread.thread_id = tag.thread_id)
"""
POSTINGS = """
INSERT INTO ckpt_tag_posting (key, value, checkpoint_id, thread_no, checkpoint_ns)
SELECT tag.key, tag.value, tag.checkpoint_id, thread.number, tag.checkpoint_ns
FROM ckpt_tag AS tag CROSS JOIN ckpt_tag_thread AS thread ON thread.thread_id = tag.thread_id
"""
BACK = f"INSERT INTO ckpt_tag_table ({', '.join(KEY)}) SELECT {', '.join(KEY)} FROM ckpt_tag"


def keys(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), primary_key=True) for name in names]


def on_sqlite() -> bool:
    return bool(op.get_context().dialect.name == "sqlite")


def upgrade() -> None:
    if not on_sqlite():
        return
    op.create_table(
        "ckpt_tag_thread",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("thread_id", sa.Text(), nullable=False, unique=True),
    )
    number = sa.Column("thread_no", sa.Integer(), primary_key=True, autoincrement=False)
    op.create_table("ckpt_tag_posting", *keys(*KEY[:3]), number, *keys(KEY[4]), sqlite_with_rowid=False)
    if context.is_offline_mode() or not context.config.attributes.get("tags_changed"):
        # Else they are made again after the last revision of the run.
        op.execute(THREADS)
        op.execute(POSTINGS)
    op.drop_table("ckpt_tag")
    for statement in (VIEW, INSERT, DELETE, FORGET):
        op.execute(statement)


def downgrade() -> None:
    if not on_sqlite():
        return
    op.execute("DROP TRIGGER ckpt_tag_thread_deleted")
    op.create_table("ckpt_tag_table", *keys(*KEY), sqlite_with_rowid=False)
    op.execute(BACK)
    op.execute("DROP VIEW ckpt_tag")
    op.drop_table("ckpt_tag_posting")
    op.drop_table("ckpt_tag_thread")
    op.rename_table("ckpt_tag_table", "ckpt_tag")
