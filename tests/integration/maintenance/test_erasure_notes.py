"""What an erasure notes before it deletes."""

from __future__ import annotations

from functools import partial

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance.erasure_notes import forget_note, note_name, note_objects, noted_objects


def test_notes_are_kept_until_they_are_forgotten(saver: SQLAlchemySaver) -> None:
    runner = saver.store.runner
    saver.setup()
    one, other = note_name(), note_name()
    runner.write(partial(note_objects, name=one, object_keys=["a", "b"])).result()
    runner.write(partial(note_objects, name=other, object_keys=["c"])).result()
    assert runner.read(noted_objects).result() == {one: ["a", "b"], other: ["c"]}
    runner.write(partial(forget_note, name=one)).result()
    assert runner.read(noted_objects).result() == {other: ["c"]}
