"""Pruning one thread, stage by stage: what goes is decided beside the writers, and done in small transactions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.engine import rolled_back, snapshot, transaction
from ckptstore.prepared import Prepared, StatementCache
from ckptstore.records import CheckpointKey, Removed
from ckptstore.retention import Node, Place, Rule, Stage, ThreadView, stages_to
from ckptstore.writes import delete_tags

# A writer on SQLite waits for so many: some milliseconds.
_CHECKPOINTS_PER_STAGE = 100


class Stamp(NamedTuple):
    """What changes with every checkpoint that comes to a thread or goes, and within a second of every write."""

    generation: int
    checkpoints: int
    updated_at: int


class Request(NamedTuple):
    """What is to be pruned of a thread."""

    thread_id: str
    rule: Rule
    #: Writes older than this whose checkpoint never came go too (microseconds since 1970, UTC).
    stray_before: int | None = None


class Decision(NamedTuple):
    """What goes of a thread that looks like this."""

    stamp: Stamp
    stages: Sequence[Stage]

    @property
    def takes_something(self) -> bool:
        """Whether anything goes, apart from what has no checkpoint or value."""
        return any(stage.lost or stage.gone or stage.values for stage in self.stages)


class Outcome(NamedTuple):
    """What one stage took away, and what is left to do: None at the end."""

    removed: Removed
    rest: Decision | None


def decide(connection: Connection, request: Request, prepared: StatementCache) -> Decision | None:
    """What goes, without a lock; None where there is no such thread."""
    with snapshot(connection):
        stamp = _stamp(connection, prepared(sql.thread_stamp), request.thread_id)
        return None if stamp is None else _decide(connection, stamp, request, prepared)


def carry_out(connection: Connection, request: Request, decision: Decision, prepared: StatementCache) -> Outcome:
    """Carry out the first stage of a decision, in a transaction; where the thread has changed since, decide anew in it."""
    with transaction(connection):
        stamp = _lock(connection, request.thread_id, prepared)
        if stamp is None:
            return Outcome(Removed(), None)
        if stamp != decision.stamp:
            decision = _decide(connection, stamp, request, prepared)
        stage, rest = decision.stages[0], decision.stages[1:]
        removed = _remove(connection, request.thread_id, stage, prepared)
        if not rest:
            return Outcome(removed + _sweep(connection, request, prepared), None)
        lost = len(stage.lost)
        return Outcome(removed, Decision(Stamp(stamp.generation + 1, stamp.checkpoints - lost, stamp.updated_at), rest))


def try_out(connection: Connection, request: Request, prepared: StatementCache) -> Removed:
    """What carrying out a decision would take away, to the byte: it is done, and undone."""
    with rolled_back(connection):
        stamp = _lock(connection, request.thread_id, prepared)
        if stamp is None:
            return Removed()
        removed = Removed()
        for stage in _decide(connection, stamp, request, prepared).stages:
            removed += _remove(connection, request.thread_id, stage, prepared)
        return removed + _sweep(connection, request, prepared)


def _stamp(connection: Connection, statement: Prepared, thread_id: str) -> Stamp | None:
    rows = statement.run(connection, {"thread_id": thread_id}).all()
    return Stamp(*rows[0]) if rows else None


def _lock(connection: Connection, thread_id: str, prepared: StatementCache) -> Stamp | None:
    # A statement of its own: what comes after it on PostgreSQL sees all that was committed before the lock was had.
    return _stamp(connection, prepared(sql.lock_thread), thread_id)


def _decide(connection: Connection, stamp: Stamp, request: Request, prepared: StatementCache) -> Decision:
    view = view_thread(connection, request.thread_id, stamp.updated_at, prepared)
    return Decision(stamp, stages_to(view, request.rule(view), _CHECKPOINTS_PER_STAGE))


def view_thread(connection: Connection, thread_id: str, active_at: int, prepared: StatementCache) -> ThreadView:
    """A thread as rules see it."""
    this = {"thread_id": thread_id}
    nodes = [
        Node(Place(namespace, checkpoint_id), parent, created_at, format_, json.loads(versions), metadata, size, bool(support))
        for namespace, checkpoint_id, parent, created_at, format_, versions, metadata, size, support in prepared(sql.thread_nodes).run(
            connection, this
        )
    ]
    return ThreadView(
        {node.place: node for node in nodes},
        {(row[0], row[1], row[2]) for row in prepared(sql.stored_versions).run(connection, this)},
        {Place(row[0], row[1]) for row in prepared(sql.checkpoints_with_sends).run(connection, this)},
        active_at,
    )


def _remove(connection: Connection, thread_id: str, stage: Stage, prepared: StatementCache) -> Removed:
    """Take away what a stage names."""
    delete_tags(connection, [(CheckpointKey(thread_id, *node.place), node.metadata) for node in stage.lost], prepared)
    hidden = _keys(prepared, sql.CHECKPOINT_KEY, thread_id, stage.hidden)
    if stage.hidden:
        prepared(sql.hide_checkpoints).run(connection, hidden)
    gone = _keys(prepared, sql.CHECKPOINT_KEY, thread_id, stage.gone)
    writes = _lengths(connection, prepared(sql.delete_writes), gone) if stage.gone else []
    bodies = _lengths(connection, prepared(sql.delete_checkpoints), gone) if stage.gone else []
    unnamed = _keys(prepared, sql.VERSION_KEY, thread_id, stage.values)
    values = _lengths(connection, prepared(sql.delete_values), unnamed) if stage.values else []
    size = sum(node.size for node in stage.lost)
    prepared(sql.count_lost).run(connection, {"thread_id": thread_id, "checkpoints": len(stage.lost), "size": size})
    return Removed(checkpoints=len(stage.lost), writes=len(writes), values=len(values), bytes=sum(writes) + sum(bodies) + sum(values))


def _sweep(connection: Connection, request: Request, prepared: StatementCache) -> Removed:
    """What is left over when all else has gone: writes without a checkpoint, segments without a value, a thread without either."""
    this = {"thread_id": request.thread_id}
    stray: list[int] = []
    if request.stray_before is not None:
        stray = _lengths(connection, prepared(sql.delete_stray_writes), {**this, "moment": request.stray_before})
    # Also where nothing was deleted: a checkpoint or a write that was replaced leaves segments behind.
    segments = prepared(sql.delete_unlinked_segments).run(connection, this).all()
    threads = prepared(sql.delete_empty_thread).run(connection, this).rowcount
    return Removed(
        threads=threads,
        writes=len(stray),
        segments=len(segments),
        bytes=sum(stray) + sum(row[0] for row in segments),
        object_keys=tuple(row[1] for row in segments if row[1] is not None),
    )


def _lengths(connection: Connection, statement: Prepared, parameters: dict[str, Any]) -> list[int]:
    return [row[0] for row in statement.run(connection, parameters)]


def _keys(prepared: StatementCache, names: Sequence[str], thread_id: str, rows: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    return sql.key_parameters(prepared.dialect.name, names, [(thread_id, *row) for row in rows])
