"""Rebuilding the tag index, and checking that it was built with the `tag_keys` of this saver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting
from ckptstore.errors import TagKeysChanged
from ckptstore.maintenance.prune_plan import CheckpointRef
from ckptstore.maintenance.thread_rows import first_of, indexed_tag_rows, lock_thread, metadata_page
from ckptstore.records import StateFormat
from ckptstore.tags.keys import EVERYTHING, TagKeys
from ckptstore.writes.tag_rows import delete_tags, insert_tags, stored_tag_rows

_SETTING = "tag_keys"
_THREADS_PER_PAGE = 200
# How many checkpoints' tags one transaction makes: other writes on SQLite wait for it.
_CHECKPOINTS_PER_PAGE = 50


def require_same_keys(db: Db, tag_keys: TagKeys) -> None:
    """Return if the tag index was built with these `tag_keys`. In an empty database, store them if none are stored yet.

    Raises:
        TagKeysChanged: the index was built with other `tag_keys`, or is being rebuilt.
    """
    wanted = _patterns(tag_keys)
    stored = _stored_patterns(db)
    if stored is None and wanted != _patterns(EVERYTHING) and not db.run(sql.settings_table.any_checkpoint).all():
        db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(wanted)}, "keep")
        stored = _stored_patterns(db)
    if stored is not None and "include" not in stored:
        raise _rebuilding()
    # Without a stored setting every metadata key is in the index.
    stored = stored or _patterns(EVERYTHING)
    if stored != wanted:
        raise TagKeysChanged(
            f"the tag index in this database was built with tag_keys {stored}, this saver has {wanted}: filters would miss checkpoints; "
            "use the same tag_keys, or stop all writers and run: ckptstore tags rebuild --url URL [--include ...] [--exclude ...]"
        )


def stored_keys(db: Db) -> TagKeys | None:
    """The `tag_keys` with which the tag index was built; None if none are stored, so that every metadata key is in it.

    Raises:
        TagKeysChanged: the index is being rebuilt.
    """
    stored = _stored_patterns(db)
    if stored is None:
        return None
    if "include" not in stored:
        raise _rebuilding()
    return TagKeys(include=stored["include"], exclude=stored["exclude"])


def _rebuilding() -> TagKeysChanged:
    return TagKeysChanged(
        "the tag index of this database is being rebuilt, or a rebuild was interrupted: wait for it, or do it again, "
        "from the beginning: ckptstore tags rebuild --url URL"
    )


def begin_rebuilding(db: Db) -> None:
    """Make every other saver refuse to start until `store_keys` is called: a filter on half an index would miss checkpoints."""
    _store(db, {"rebuilding": True})


def store_keys(db: Db, tag_keys: TagKeys) -> None:
    """Store which metadata keys are in the index; no setting is needed if all of them are."""
    if _patterns(tag_keys) == _patterns(EVERYTHING):
        db.run(sql.settings_table.delete_setting, {"name": _SETTING})
    else:
        _store(db, _patterns(tag_keys))


def _store(db: Db, value: Mapping[str, Any]) -> None:
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(value)}, "replace")


def _stored_patterns(db: Db) -> dict[str, Any] | None:
    return read_setting(db, _SETTING, dict)


def _patterns(tag_keys: TagKeys) -> dict[str, Any]:
    return {"include": sorted(tag_keys.include), "exclude": sorted(tag_keys.exclude)}


class RebuiltTags(NamedTuple):
    """What one transaction of a rebuild did."""

    #: The tags that its checkpoints have now.
    tag_count: int
    #: The checkpoint after which the next transaction continues; None at the end of the thread.
    last: CheckpointRef | None


def rebuild_tags(db: Db, thread_id: str, after: CheckpointRef, tag_keys: TagKeys, state_format: StateFormat) -> RebuiltTags:
    """Rebuild the tags of the next checkpoints of a thread, in one transaction."""
    db.expect_long()
    with db.transaction():
        lock_thread(db, thread_id)
        page = metadata_page(db, thread_id, after, _CHECKPOINTS_PER_PAGE)
        checkpoints = first_of(page)
        rows = indexed_tag_rows(checkpoints, tag_keys, state_format)
        kept = set(rows)
        delete_tags(db, [row for row in stored_tag_rows(checkpoints) if row not in kept])
        insert_tags(db, rows)
    if len(page) < _CHECKPOINTS_PER_PAGE and len(checkpoints) == len(page):
        return RebuiltTags(len(rows), None)
    return RebuiltTags(len(rows), CheckpointRef(*checkpoints[-1].key[1:]))


def next_threads(db: Db, after: str) -> list[str]:
    """The next page of thread ids in order, after the given one; empty at the end."""
    db.expect_long()
    rows = db.run(sql.threads.threads_after, {"after": after, "page_size": _THREADS_PER_PAGE})
    return [thread_id for (thread_id,) in rows]
