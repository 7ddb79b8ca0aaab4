"""Threads of a source whose deletion has begun and not ended: what is to be deleted is not transferred, what was stored since is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import CHECKPOINT, WRITE
from ckptstore.maintenance.delete import LargeThread, unfinished_deletions
from ckptstore.maintenance.prune_plan import CheckpointRef, Rule, ThreadView, keep_all_but
from ckptstore.transfer.selection import Selection, select


def gone_threads(db: Db, thread_ids: Iterable[str]) -> set[str]:
    """Those of some threads of which nothing is left once their deletion ends."""
    return {each for each, content in unfinished_deletions(db, thread_ids).items() if _is_gone(db, each, content)}


def _is_gone(db: Db, thread_id: str, content: LargeThread) -> bool:
    kept = {CHECKPOINT: content.checkpoints, WRITE: content.checkpoints | set(content.written)}
    return all(
        CheckpointRef(*row) in deleted
        for table, deleted in kept.items()
        for row in db.run(sql.delete.refs_in_thread, {"thread_id": thread_id}, table)
    )


def select_left(thread_id: str, view: ThreadView, rule: Rule | None, content: LargeThread) -> Selection:
    """What a rule chooses of a thread, of what is left once its deletion ends.

    Args:
        thread_id: the thread.
        view: the thread as it is.
        rule: None to choose everything that is left.
        content: what is deleted.
    """

    def left(view: ThreadView) -> set[CheckpointRef]:
        nodes: dict[CheckpointRef, Any] = {ref: node for ref, node in view.nodes.items() if ref not in content.checkpoints}
        return set((rule or keep_all_but(frozenset()))(replace(view, nodes=nodes)))

    selection = select(thread_id, view, left)
    selection.leave_out(set(content.written) - left(view))
    return selection
