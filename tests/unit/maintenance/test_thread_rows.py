"""What is read of one thread."""

from __future__ import annotations

from ckptstore.db.connection import Db
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.thread_rows import ThreadStamp, checkpoint_metadata, indexed_tag_rows, lock_thread, read_stamp
from ckptstore.records import CheckpointKey
from ckptstore.tags.keys import TagKeys
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint


def test_a_stamp_changes_with_every_checkpoint(db: Db) -> None:
    assert read_stamp(db, "t") is None
    assert lock_thread(db, "t") is None
    commit_batch(db, [new_checkpoint("t", "1")])
    first = read_stamp(db, "t")
    assert isinstance(first, ThreadStamp)
    assert (first.checkpoint_count, first.updated_at) == (1, 0)
    commit_batch(db, [new_checkpoint("t", "2")])
    assert read_stamp(db, "t") == first._replace(checkpoint_count=2) == lock_thread(db, "t")


def test_hidden_checkpoints_have_no_tags(db: Db) -> None:
    commit_batch(db, [new_checkpoint("t", name, metadata='{"step":1,"user":"ann"}') for name in "12"])
    db.execute("UPDATE ckpt_checkpoint SET hidden = 1 WHERE checkpoint_id = '1'")
    found = checkpoint_metadata(db, "t")
    assert found == [(CheckpointKey("t", "", "2"), '{"step":1,"user":"ann"}')]
    rows = indexed_tag_rows(found, TagKeys(exclude=("step",)), LANGGRAPH)
    assert [row[0] for row in rows] == ["user"]
