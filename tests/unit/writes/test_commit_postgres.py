"""Which writes of a batch PostgreSQL stores with one statement."""

from __future__ import annotations

from ckptstore.writes.commit_postgres import ordinary_writes
from tests.support.attempts import new_checkpoint, task_writes


def test_what_touches_objects_or_rows_of_others_is_left_out_with_all_that_follows_in_its_thread() -> None:
    batch = [
        new_checkpoint("a", "1"),
        new_checkpoint("a", "1"),
        task_writes("a", "after it", b"x"),
        new_checkpoint("b", "1")._replace(touches_objects=True),
        task_writes("b", "after it", b"x"),
        new_checkpoint("c", "1"),
        task_writes("c", "task", b"x"),
    ]
    assert ordinary_writes(dict(enumerate(batch))) == {number: batch[number] for number in (0, 5, 6)}
