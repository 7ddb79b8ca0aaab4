"""Taking checkpoints away, and copying threads: each function opens one transaction on the connection it is given."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Table

from ckptstore import statements as sql
from ckptstore.engine import transaction
from ckptstore.prepared import StatementCache
from ckptstore.records import CheckpointKey, Posting, Removed
from ckptstore.retention import Node, Place, Rule, ThreadView, support_of
from ckptstore.tagkeys import TagKeys
from ckptstore.tags import postings
from ckptstore.writes import delete_tags, insert_tags, new_generation

# Everything that a thread owns but for its tags, whose index leads with the tag.
_OWNED: tuple[Table, ...] = (sql.WRITE, sql.CHANNEL, sql.SEGMENT, sql.CHECKPOINT)


def delete_thread(connection: Connection, thread_id: str, prepared: StatementCache) -> Removed:
    """Delete all that a thread has, its own row last."""
    this = {"thread_id": thread_id}
    with transaction(connection):
        if not _lock(connection, thread_id, prepared):
            return Removed()
        view = view_thread(connection, thread_id, prepared)
        delete_tags(connection, _metadata(thread_id, view, view.nodes), prepared)
        gone = {table: prepared(sql.delete_thread_rows, table).run(connection, this).rowcount for table in (*_OWNED, sql.THREAD)}
    return Removed(len(list(view.visible)), gone[sql.WRITE], gone[sql.CHANNEL])


def prune_thread(connection: Connection, thread_id: str, rule: Rule, stray_before: int | None, prepared: StatementCache) -> Removed:
    """Delete the checkpoints of a thread that a rule does not keep, nor any kept one is read from.

    Args:
        connection: in autocommit; one transaction is opened on it.
        thread_id: the thread.
        rule: names the checkpoints to keep.
        stray_before: writes older than this whose checkpoint never came go too (microseconds since 1970, UTC).
        prepared: the statements of this database.
    """
    this = {"thread_id": thread_id}
    with transaction(connection):
        if not _lock(connection, thread_id, prepared):
            return Removed()
        view = view_thread(connection, thread_id, prepared)
        kept = rule(view)
        support = support_of(view, kept)
        removed = _delete_places(connection, thread_id, view, [place for place in view.nodes if place not in kept | support], prepared)
        removed += _hide(connection, thread_id, view, [place for place in support if not view.nodes[place].support], prepared)
        if stray_before is not None:
            stray = prepared(sql.delete_stray_writes).run(connection, {**this, "moment": stray_before}).rowcount
            removed += Removed(writes=stray)
        # Also where nothing was deleted: a checkpoint or a write that was replaced leaves segments behind.
        prepared(sql.delete_unlinked_segments).run(connection, this)
        prepared(sql.raise_generation).run(connection, this)
        prepared(sql.delete_empty_thread).run(connection, this)
    return removed


def _delete_places(connection: Connection, thread_id: str, view: ThreadView, gone: Sequence[Place], prepared: StatementCache) -> Removed:
    if not gone:
        return Removed()
    this = {"thread_id": thread_id}
    delete_tags(connection, _metadata(thread_id, view, gone), prepared)
    keys = sql.key_parameters(prepared.dialect.name, sql.CHECKPOINT_KEY, [(thread_id, *place) for place in gone])
    writes = prepared(sql.delete_keys, sql.WRITE, sql.CHECKPOINT_KEY).run(connection, keys).rowcount
    prepared(sql.delete_keys, sql.CHECKPOINT, sql.CHECKPOINT_KEY).run(connection, keys)
    channels = prepared(sql.delete_unlinked_channels).run(connection, this).rowcount
    # Those that were hidden before were counted then.
    return Removed(sum(not view.nodes[place].support for place in gone), writes, channels)


def _hide(connection: Connection, thread_id: str, view: ThreadView, places: Sequence[Place], prepared: StatementCache) -> Removed:
    """Take checkpoints out of every reader's sight, and keep them for those that are rebuilt from them."""
    if not places:
        return Removed()
    delete_tags(connection, _metadata(thread_id, view, places), prepared)
    keys = sql.key_parameters(prepared.dialect.name, sql.CHECKPOINT_KEY, [(thread_id, *place) for place in places])
    prepared(sql.hide_checkpoints).run(connection, keys)
    return Removed(checkpoints=len(places))


def _metadata(thread_id: str, view: ThreadView, places: Iterable[Place]) -> Iterable[tuple[CheckpointKey, str]]:
    return ((CheckpointKey(thread_id, *place), view.nodes[place].metadata) for place in places)


def _lock(connection: Connection, thread_id: str, prepared: StatementCache) -> bool:
    """Lock a thread's row; False where there is none, and so nothing else of the thread either."""
    # A statement of its own: what comes after it on PostgreSQL sees all that was committed before the lock was had.
    return bool(prepared(sql.lock_thread).run(connection, {"thread_id": thread_id}).all())


def view_thread(connection: Connection, thread_id: str, prepared: StatementCache) -> ThreadView:
    """A thread as rules see it."""
    this = {"thread_id": thread_id}
    nodes = (
        Node(Place(namespace, checkpoint_id), parent, created_at, format_, json.loads(versions), metadata, bool(support))
        for namespace, checkpoint_id, parent, created_at, format_, versions, metadata, support in prepared(sql.thread_nodes).run(
            connection, this
        )
    )
    return ThreadView(
        {node.place: node for node in nodes},
        {(row[0], row[1], row[2]) for row in prepared(sql.stored_versions).run(connection, this)},
        {Place(row[0], row[1]) for row in prepared(sql.checkpoints_with_sends).run(connection, this)},
    )


def copy_thread(connection: Connection, source: str, target: str, tag_keys: TagKeys, prepared: StatementCache) -> int:
    """Copy all that a thread has to another thread; what the other has under the same keys stays. Returns checkpoints copied."""
    parameters = {"thread_id": source, "target": target}
    with transaction(connection):
        if not _lock(connection, source, prepared):
            return 0
        prepared(sql.copy_rows, sql.THREAD).run(connection, {**parameters, "generation": new_generation()})
        _lock(connection, target, prepared)
        for table in (sql.SEGMENT, sql.CHANNEL, sql.WRITE, sql.CHECKPOINT):
            prepared(sql.copy_rows, table).run(connection, parameters)
        # From what is there now, since a checkpoint that the target had before keeps its own tags.
        view = view_thread(connection, target, prepared)
        rows = [
            (*posting, node.place.checkpoint_id, target, node.place.checkpoint_ns)
            for node in view.visible
            for posting in postings(json.loads(node.metadata), tag_keys)
        ]
        insert_tags(connection, rows, prepared)
        prepared(sql.recount).run(connection, {"thread_id": target})
    return len(list(view.visible))


def places_with_postings(connection: Connection, wanted: Sequence[Posting], prepared: StatementCache) -> dict[str, set[Place]]:
    """The checkpoints that have one of the postings, by thread."""
    parameters = sql.key_parameters(prepared.dialect.name, ("key", "value"), wanted)
    found: dict[str, set[Place]] = {}
    for thread_id, namespace, checkpoint_id in prepared(sql.checkpoints_with_postings).run(connection, parameters):
        found.setdefault(thread_id, set()).add(Place(namespace, checkpoint_id))
    return found


def threads_with_older(connection: Connection, moment: int, after: str, page_size: int, prepared: StatementCache) -> list[str]:
    """The next threads that hold anything from before a moment."""
    parameters = {"moment": moment, "after": after, "page_size": page_size}
    return [row[0] for row in prepared(sql.threads_with_older).run(connection, parameters)]
