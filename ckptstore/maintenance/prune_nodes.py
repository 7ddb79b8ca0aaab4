"""Reads what a prune decides by: a thread's checkpoints as nodes, without a payload."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.maintenance.prune_plan import CheckpointRef, Node, Rule, Stage, ThreadView, plan_stages
from ckptstore.reads.rows import parsed_metadata, parsed_versions
from ckptstore.records import CheckpointKey, StateFormat


def thread_view(db: Db, thread_id: str, state_format: StateFormat, updated_at: int) -> ThreadView:
    """Read what a rule and a plan need to know of a thread; never a payload.

    Args:
        db: the database.
        thread_id: the thread.
        state_format: what its checkpoints mean.
        updated_at: when something was last stored in the thread.

    Raises:
        CheckpointCorrupt: the versions of a checkpoint can't be parsed.
    """
    thread = {"thread_id": thread_id}
    tasks_channel = {"channel": state_format.tasks_channel}
    rows = db.run(sql.prune.thread_nodes, thread).all()
    nodes = db.compute(len(rows), nodes_of, thread_id, state_format, rows)
    return ThreadView(
        nodes={node.ref: node for node in nodes},
        stored_values={(namespace, channel, version) for namespace, channel, version in db.run(sql.checkpoints.stored_versions, thread)},
        with_task_writes={CheckpointRef(*row) for row in db.run(sql.prune.checkpoints_with_writes_to, {**thread, **tasks_channel})},
        updated_at=updated_at,
    )


def stages_of(thread_id: str, view: ThreadView, rule: Rule, max_per_stage: int) -> list[Stage]:
    """The stages that remove what a rule does not keep of a thread, see `plan_stages`.

    Raises:
        CheckpointCorrupt: the metadata of a checkpoint can't be parsed.
    """
    try:
        return plan_stages(view, rule(view), max_per_stage)
    except (json.JSONDecodeError, RecursionError):
        for ref, node in view.nodes.items():
            parsed_metadata(CheckpointKey(thread_id, *ref), node.metadata)
        raise


class _NodeRow(NamedTuple):
    """One row of `thread_nodes` or `thread_nodes_after`; SQLite has integers for booleans."""

    checkpoint_ns: str
    checkpoint_id: str
    parent_checkpoint_id: str | None
    created_at: int
    format: int
    channel_versions: str
    metadata: str
    size: int
    hidden: bool | int


def nodes_of(thread_id: str, state_format: StateFormat, rows: Iterable[tuple[Any, ...]]) -> list[Node]:
    """The nodes of some rows of `thread_nodes` or `thread_nodes_after`.

    Raises:
        CheckpointCorrupt: the versions of one can't be parsed.
    """
    return [_node(thread_id, state_format, _NodeRow(*row)) for row in rows]


def _node(thread_id: str, state_format: StateFormat, row: _NodeRow) -> Node:
    key = CheckpointKey(thread_id, row.checkpoint_ns, row.checkpoint_id)
    return Node(
        state_format=state_format,
        ref=CheckpointRef(row.checkpoint_ns, row.checkpoint_id),
        parent_checkpoint_id=row.parent_checkpoint_id,
        created_at=row.created_at,
        format=row.format,
        channel_versions=parsed_versions(key, row.channel_versions),
        metadata=row.metadata,
        size=row.size,
        hidden=bool(row.hidden),
    )
