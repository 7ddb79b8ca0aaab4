"""A batch is stored in whichever way its database has, and says for each write what is missing."""

from __future__ import annotations

from ckptstore.db.connection import Db
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint, task_writes


def test_the_outcome_is_in_the_order_of_the_batch(db: Db) -> None:
    batch = [new_checkpoint("a", "1"), new_checkpoint("b", "1", carried=[("messages", "7")]), task_writes("c", "task", b"x")]
    assert list(commit_batch(db, batch)) == [None, MissingParts(channels=("messages",)), None]
    assert db.execute("SELECT thread_id FROM ckpt_thread ORDER BY 1").all() == [("a",), ("c",)]
