"""The fallback for what one statement can't store: replacements, and what is missing."""

from __future__ import annotations

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.records import NewSegment
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.replace import store_writes
from tests.support.attempts import new_checkpoint


def store(db: Db, *writes: EncodedWrite) -> dict[int, MissingParts]:
    with db.transaction():
        return store_writes(db, dict(enumerate(writes)))


def counted(db: Db) -> list[tuple[str, int, int]]:
    return [tuple(row) for row in db.execute("SELECT thread_id, checkpoint_count, size FROM ckpt_thread ORDER BY 1")]


def test_a_checkpoint_that_exists_is_replaced_with_its_tags_and_counts_once(db: Db) -> None:
    assert store(db, new_checkpoint("t", "1", size=10, metadata='{"step":1}')) == {}
    assert store(db, new_checkpoint("t", "1", size=30, metadata='{"step":2}'), new_checkpoint("t", "2", size=1)) == {}
    assert db.execute("SELECT checkpoint_id, metadata FROM ckpt_checkpoint ORDER BY 1").all() == [("1", '{"step":2}'), ("2", "{}")]
    assert counted(db) == [("t", 2, 31)]


def test_what_is_missing_is_named_and_keeps_only_its_own_write_out(db: Db) -> None:
    carrying = new_checkpoint("t", "1", carried=[("messages", "7")])
    knowing = new_checkpoint("u", "1")._replace(known=["digest"])
    object_row = NewSegment("digest", 100_000, "raw", None, "key")
    referring = new_checkpoint("v", "1")._replace(segments=[object_row])
    db.insert(sql.tables.OBJECT, "keep", [("key", "whole", 1, 1, "deleting", 1)])
    missing = store(db, carrying, knowing, referring, new_checkpoint("w", "1"))
    assert missing == {
        0: MissingParts(channels=("messages",)),
        1: MissingParts(segments=("digest",)),
        2: MissingParts(objects=("key",)),
    }
    assert [thread for thread, _, _ in counted(db)] == ["w"]


def test_an_object_that_is_referred_to_becomes_live(db: Db) -> None:
    db.insert(sql.tables.OBJECT, "keep", [("key", "whole", 1, 1, "marked", 1)])
    referring = new_checkpoint("t", "1")._replace(segments=[NewSegment("digest", 100_000, "raw", None, "key")])
    assert store(db, referring) == {}
    assert db.execute("SELECT state, changed_at FROM ckpt_object").all() == [("live", 0)]
