"""The tag index as a whole: whether it holds what a saver takes it to hold, and making it anew."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.errors import TagKeysChanged
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey
from ckptstore.tagkeys import EVERYTHING, TagKeys
from ckptstore.tags import postings
from ckptstore.writes import delete_tags, insert_tags

_SETTING = "tag_keys"
_THREADS_PER_PAGE = 200


def require_same_keys(connection: Connection, tag_keys: TagKeys, prepared: StatementCache) -> None:
    """Return if the tags that are there were made with these keys; an empty store takes them over.

    Raises:
        TagKeysChanged: they were made with others.
    """
    stored = _stored_keys(connection, prepared)
    if stored == _patterns(tag_keys):
        return
    if prepared(sql.any_checkpoint).run(connection).all():
        raise TagKeysChanged(
            f"the tags in this database were made with tag_keys {stored}, this saver has {_patterns(tag_keys)}: "
            "answers would be incomplete; give it the same tag_keys, or stop all writers and run: ckptstore tags rebuild"
        )
    remember_keys(connection, tag_keys, prepared)


def remember_keys(connection: Connection, tag_keys: TagKeys, prepared: StatementCache) -> None:
    """Note with which keys the tags are made."""
    prepared(sql.set_setting).run(connection, {"name": _SETTING, "value": json.dumps(_patterns(tag_keys))})


def _stored_keys(connection: Connection, prepared: StatementCache) -> dict[str, Any]:
    rows = prepared(sql.setting).run(connection, {"name": _SETTING}).all()
    found: dict[str, Any] = json.loads(rows[0][0]) if rows else _patterns(EVERYTHING)
    return found


def _patterns(tag_keys: TagKeys) -> dict[str, Any]:
    return {"include": sorted(tag_keys.include), "exclude": sorted(tag_keys.exclude)}


def rebuild_tags(connection: Connection, thread_id: str, tag_keys: TagKeys, prepared: StatementCache) -> int:
    """Make the tags of one thread's checkpoints anew, in one transaction; returns how many tags it has now."""
    with transaction(connection):
        prepared(sql.lock_thread).run(connection, {"thread_id": thread_id})
        found = [
            (CheckpointKey(thread_id, namespace, checkpoint_id), metadata)
            for namespace, checkpoint_id, _, _, _, _, metadata, support in prepared(sql.thread_nodes).run(
                connection, {"thread_id": thread_id}
            )
            if not support
        ]
        delete_tags(connection, found, prepared)
        rows = [
            (*posting, key.checkpoint_id, key.thread_id, key.checkpoint_ns)
            for key, metadata in found
            for posting in postings(json.loads(metadata), tag_keys)
        ]
        insert_tags(connection, rows, prepared)
    return len(rows)


def next_threads(connection: Connection, after: str, prepared: StatementCache) -> list[str]:
    """The next threads in the order of their ids; none at the end."""
    return [row[0] for row in prepared(sql.threads_after).run(connection, {"after": after, "page_size": _THREADS_PER_PAGE})]
