"""Which keys of a filter any checkpoint has."""

from __future__ import annotations

from ckptstore.db.connection import Db
from ckptstore.reads.tag_keys import keys_in_use
from ckptstore.records import CheckpointKey, Posting
from ckptstore.writes.rows import tag_rows
from ckptstore.writes.tag_rows import insert_tags


def test_a_key_is_in_use_at_its_path_or_below_it(db: Db) -> None:
    postings = frozenset({Posting("source", "v"), Posting("user/name", "v"), Posting("users", "v")})
    insert_tags(db, tag_rows(CheckpointKey("t", "", "c"), postings))
    assert keys_in_use(db, ["source", "user", "use", "absent"]) == {"source", "user"}
    assert keys_in_use(db, []) == set()
