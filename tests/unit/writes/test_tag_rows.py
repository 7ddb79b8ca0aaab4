"""Rows of stored checkpoints in the tag index."""

from __future__ import annotations

from ckptstore.db.connection import Db
from ckptstore.records import CheckpointKey
from ckptstore.writes.tag_rows import delete_tags, insert_tags, stored_tag_rows

KEY, OTHER = CheckpointKey("t", "", "1"), CheckpointKey("t", "", "2")
METADATA = '{"step":1,"user":{"name":"ann"}}'


def count(db: Db) -> int:
    found: int = db.execute("SELECT count(*) FROM ckpt_tag").scalar_one()
    return found


def test_tags_that_follow_from_metadata_are_deleted_and_no_others(db: Db) -> None:
    rows = stored_tag_rows([(KEY, METADATA)])
    assert sorted(row[0] for row in rows) == ["step", "user/name"]
    insert_tags(db, rows)
    insert_tags(db, rows)
    insert_tags(db, stored_tag_rows([(OTHER, METADATA)]))
    assert count(db) == 4
    delete_tags(db, [])
    delete_tags(db, rows)
    assert db.execute("SELECT DISTINCT checkpoint_id FROM ckpt_tag").all() == [("2",)]
    assert count(db) == 2
