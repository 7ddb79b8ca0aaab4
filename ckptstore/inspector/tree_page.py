"""A thread: its checkpoints as a tree, newest first."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from ckptstore.inspection.outline import OutlinedCheckpoint, Parent, thread_page
from ckptstore.inspector.context import inspector_of, required, text_of
from ckptstore.inspector.rendering import link, page
from ckptstore.inspector.tree_drawing import draw_tree
from ckptstore.langgraph.inspection.steps import Step, short_namespace, step_of
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive

PAGE_SIZE = 100


class Row(NamedTuple):
    """A checkpoint of the list."""

    checkpoint: OutlinedCheckpoint
    step: Step
    #: Its namespace, with the tasks' ids shortened to their beginnings.
    namespace: str
    is_pruned_before: bool
    link: str
    #: Names it in the form that compares two.
    chosen_as: str


def thread(request: Request) -> Response:
    """A page of the tree."""
    inspector = inspector_of(request)
    thread_id, checkpoint_ns, before = required(request, "thread"), text_of(request, "ns"), text_of(request, "before")
    found = drive(thread_page(inspector.store, thread_id, checkpoint_ns, before, PAGE_SIZE))
    rows = [_row(checkpoint) for checkpoint in found.checkpoints]
    following = None
    if found.more:
        following = link("/thread", thread=thread_id, ns=checkpoint_ns, before=found.checkpoints[-1].key.checkpoint_id)
    namespaces = sorted({checkpoint.key.checkpoint_ns for checkpoint in found.checkpoints})
    return page(
        "thread.html",
        inspector=inspector,
        place="threads",
        thread=found.thread,
        rows=rows,
        newest=next((row.link for row in rows if not row.checkpoint.key.checkpoint_ns), rows[0].link if rows else None),
        drawing=draw_tree([row.checkpoint for row in rows], [row.step for row in rows]),
        checkpoint_ns=checkpoint_ns,
        namespaces=[(each, short_namespace(each)) for each in namespaces],
        is_first=before is None,
        following=following,
        now=inspector.now(),
    )


def _row(checkpoint: OutlinedCheckpoint) -> Row:
    key = checkpoint.key
    return Row(
        checkpoint=checkpoint,
        step=step_of(checkpoint),
        namespace=short_namespace(key.checkpoint_ns),
        is_pruned_before=checkpoint.parent is Parent.MISSING,
        link=checkpoint_link(key),
        chosen_as=f"{key.checkpoint_id} {key.checkpoint_ns}",
    )


def checkpoint_link(key: CheckpointKey) -> str:
    """The page of a checkpoint."""
    return link("/checkpoint", thread=key.thread_id, ns=key.checkpoint_ns, id=key.checkpoint_id)
