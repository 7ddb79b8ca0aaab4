"""What an erasure is about to delete: a later one finds by it the blobs that one left whose process died.

Once a thread is deleted, nothing else says which blobs were its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import formed
from ckptstore.runtime.random_ids import random_text

_PREFIX = "erasing "


def note_name() -> str:
    """A name for a note. It is not that of the thread: one that is erased leaves nothing of itself."""
    return _PREFIX + random_text(12)


def note_objects(db: Db, name: str, object_keys: Sequence[str]) -> None:
    """Note the objects of a thread before it is deleted."""
    db.run(sql.settings_table.set_setting, {"name": name, "value": json.dumps({"objects": list(object_keys)})}, "replace")


def forget_note(db: Db, name: str) -> None:
    """Delete a note, when those of its objects that nothing refers to are deleted."""
    db.run(sql.settings_table.delete_setting, {"name": name})


def noted_objects(db: Db) -> dict[str, list[str]]:
    """The keys of the objects that erasures have noted and not deleted, by the name of the note."""
    rows = db.run(sql.settings_table.settings_beginning_with, {"prefix": _PREFIX, "length": len(_PREFIX)})
    return {name: formed(name, value, lambda stored: list(stored["objects"])) for name, value in rows}
