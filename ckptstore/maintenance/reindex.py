"""The tag index as a whole: whether it holds what a saver takes it to hold, and making it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.errors import TagKeysChanged
from ckptstore.records import CheckpointKey
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.writes.rows import tag_rows
from ckptstore.writes.tag_rows import delete_tags, insert_tags, stored_tag_rows

_SETTING = "tag_keys"
_THREADS_PER_PAGE = 200


def require_same_keys(
    db: Db,
    tag_keys: TagKeys,
) -> None:
    """Return if the tags that are there were made with these keys. Whose keys come first to an empty store decides.

    Raises:
        TagKeysChanged: they were made with others, or are being made anew.
    """
    wanted = _patterns(tag_keys)
    stored = _stored_keys(db)
    if stored is None and wanted != _patterns(EVERYTHING) and not db.run(sql.settings_table.any_checkpoint).all():
        db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(wanted)}, "keep")
        stored = _stored_keys(db)
    # A store where nothing is noted has all tags.
    stored = stored or _patterns(EVERYTHING)
    if stored != wanted:
        raise TagKeysChanged(
            f"the tags in this database were made with tag_keys {stored}, this saver has {wanted}: "
            "answers would be incomplete; give it the same tag_keys, or stop all writers and run: ckptstore tags rebuild"
        )


def begin_rebuilding(
    db: Db,
) -> None:
    """From here on no saver finds the keys that it expects, until `remember_keys`: half of the tags would be half an answer."""
    _remember(db, {"rebuilding": True})


def remember_keys(
    db: Db,
    tag_keys: TagKeys,
) -> None:
    """Note with which keys the tags are made; all of them need no note."""
    if _patterns(tag_keys) == _patterns(EVERYTHING):
        db.run(sql.settings_table.forget_setting, {"name": _SETTING})
        return
    _remember(db, _patterns(tag_keys))


def _remember(
    db: Db,
    value: Mapping[str, Any],
) -> None:
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(value)}, "replace")


def _stored_keys(
    db: Db,
) -> dict[str, Any] | None:
    rows = db.run(sql.settings_table.setting, {"name": _SETTING}).all()
    return json.loads(rows[0][0]) if rows else None


def _patterns(tag_keys: TagKeys) -> dict[str, Any]:
    return {"include": sorted(tag_keys.include), "exclude": sorted(tag_keys.exclude)}


def rebuild_tags(
    db: Db,
    thread_id: str,
    tag_keys: TagKeys,
) -> int:
    """Make the tags of one thread's checkpoints anew, in one transaction; returns how many tags it has now."""
    with db.transaction():
        db.run(sql.delete.lock_thread, {"thread_id": thread_id})
        found = [(CheckpointKey(thread_id, *row[:2]), row[2]) for row in db.run(sql.delete.metadata_of_thread, {"thread_id": thread_id})]
        delete_tags(db, stored_tag_rows(found))
        rows = [row for key, metadata in found for row in tag_rows(key, postings(json.loads(metadata), tag_keys))]
        insert_tags(db, rows)
    return len(rows)


def next_threads(
    db: Db,
    after: str,
) -> list[str]:
    """The next threads in the order of their ids; none at the end."""
    return [row[0] for row in db.run(sql.verify.threads_after, {"after": after, "page_size": _THREADS_PER_PAGE})]
