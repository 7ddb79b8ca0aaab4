"""Objects as the database knows them."""

from __future__ import annotations

from ckptstore.blobs.registered import RegisteredObject, registered_objects
from ckptstore.db import sql
from ckptstore.db.connection import Db


def test_usable_objects_are_found_by_their_digests_newest_first(db: Db) -> None:
    rows = [
        ("old", "one", 1, 10, "live", 10),
        ("new", "one", 1, 20, "marked", 20),
        ("unfinished", "one", 1, 30, "pending", 30),
        ("going", "two", 2, 10, "deleting", 10),
        ("other", "three", 3, 10, "live", 10),
    ]
    db.insert(sql.tables.OBJECT, "keep", rows)
    found = registered_objects(db, ["one", "two", "absent"])
    assert found == {"one": [RegisteredObject("new", 1), RegisteredObject("old", 1)]}
    assert registered_objects(db, []) == {}
