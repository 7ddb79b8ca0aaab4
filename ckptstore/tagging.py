"""The tag index as a whole: whether it holds what a saver takes it to hold, and making it anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.errors import TagKeysChanged
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey
from ckptstore.rows import tag_rows
from ckptstore.tagkeys import EVERYTHING, TagKeys
from ckptstore.tags import postings
from ckptstore.writes import delete_tags, insert_tags, rows_of_tags

_SETTING = "tag_keys"
_THREADS_PER_PAGE = 200


def require_same_keys(connection: Connection, tag_keys: TagKeys, prepared: StatementCache) -> None:
    """Return if the tags that are there were made with these keys. Whose keys come first to an empty store decides.

    Raises:
        TagKeysChanged: they were made with others, or are being made anew.
    """
    wanted = _patterns(tag_keys)
    stored = _stored_keys(connection, prepared)
    if stored is None and wanted != _patterns(EVERYTHING) and not prepared(sql.any_checkpoint).run(connection).all():
        prepared(sql.set_setting, "keep").run(connection, {"name": _SETTING, "value": json.dumps(wanted)})
        stored = _stored_keys(connection, prepared)
    # A store where nothing is noted has all tags.
    stored = stored or _patterns(EVERYTHING)
    if stored != wanted:
        raise TagKeysChanged(
            f"the tags in this database were made with tag_keys {stored}, this saver has {wanted}: "
            "answers would be incomplete; give it the same tag_keys, or stop all writers and run: ckptstore tags rebuild"
        )


def begin_rebuilding(connection: Connection, prepared: StatementCache) -> None:
    """From here on no saver finds the keys that it expects, until `remember_keys`: half of the tags would be half an answer."""
    _remember(connection, {"rebuilding": True}, prepared)


def remember_keys(connection: Connection, tag_keys: TagKeys, prepared: StatementCache) -> None:
    """Note with which keys the tags are made; all of them need no note."""
    if _patterns(tag_keys) == _patterns(EVERYTHING):
        prepared(sql.forget_setting).run(connection, {"name": _SETTING})
        return
    _remember(connection, _patterns(tag_keys), prepared)


def _remember(connection: Connection, value: Mapping[str, Any], prepared: StatementCache) -> None:
    prepared(sql.set_setting, "replace").run(connection, {"name": _SETTING, "value": json.dumps(value)})


def _stored_keys(connection: Connection, prepared: StatementCache) -> dict[str, Any] | None:
    rows = prepared(sql.setting).run(connection, {"name": _SETTING}).all()
    return json.loads(rows[0][0]) if rows else None


def _patterns(tag_keys: TagKeys) -> dict[str, Any]:
    return {"include": sorted(tag_keys.include), "exclude": sorted(tag_keys.exclude)}


def rebuild_tags(connection: Connection, thread_id: str, tag_keys: TagKeys, prepared: StatementCache) -> int:
    """Make the tags of one thread's checkpoints anew, in one transaction; returns how many tags it has now."""
    with transaction(connection):
        prepared(sql.lock_thread).run(connection, {"thread_id": thread_id})
        found = [
            (CheckpointKey(thread_id, *row[:2]), row[2])
            for row in prepared(sql.metadata_of_thread).run(connection, {"thread_id": thread_id})
        ]
        delete_tags(connection, rows_of_tags(found), prepared)
        rows = [row for key, metadata in found for row in tag_rows(key, postings(json.loads(metadata), tag_keys))]
        insert_tags(connection, rows, prepared)
    return len(rows)


def next_threads(connection: Connection, after: str, prepared: StatementCache) -> list[str]:
    """The next threads in the order of their ids; none at the end."""
    return [row[0] for row in prepared(sql.threads_after).run(connection, {"after": after, "page_size": _THREADS_PER_PAGE})]
