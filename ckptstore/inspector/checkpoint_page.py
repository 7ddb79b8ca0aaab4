"""A checkpoint: its state channel by channel, and what tasks have written since."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from ckptstore.errors import CkptStoreError
from ckptstore.inspection.outline import outlined_checkpoint
from ckptstore.inspection.sharing import Shared, shared_with_parent
from ckptstore.inspection.unreadable import UNREADABLE, why_unreadable
from ckptstore.inspector.context import Inspector, checkpoint_of, inspector_of
from ckptstore.inspector.rendering import streamed
from ckptstore.inspector.structure_html import StructureHtml
from ckptstore.inspector.value_links import of_channel, of_metadata, of_write
from ckptstore.langgraph.format import ERROR_CHANNEL, INTERRUPT_CHANNEL
from ckptstore.langgraph.inspection.state import ChannelState, CheckpointState
from ckptstore.langgraph.inspection.steps import short_namespace, step_of
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive

T = TypeVar("T")


class ShownChannel(NamedTuple):
    """A channel of the page."""

    of: ChannelState
    value: Markup
    #: What it shares with the checkpoint before; None where that is not known.
    shared: Shared | None


class ShownWrite(NamedTuple):
    """A write of the page."""

    channel: str
    size: int
    #: `interrupt`, `error` or `write`.
    kind: str
    value: Markup


class ShownTask(NamedTuple):
    """What one task has written."""

    task_id: str
    writes: list[ShownWrite]


class ShownState(NamedTuple):
    """What of a page has to be read."""

    state: CheckpointState
    metadata: Markup
    channels: list[ShownChannel]
    internal: list[ShownChannel]
    tasks: list[ShownTask]


class Problem(NamedTuple):
    """Why something can't be shown, in place of it."""

    problem: str


def attempt(read: Callable[[], T]) -> T | Problem:
    """What a function returns, or why it can't: the page has begun already, and goes on."""
    try:
        return read()
    except CkptStoreError as exc:
        return Problem(str(exc))
    except UNREADABLE as exc:
        return Problem(why_unreadable(exc))


def checkpoint(request: Request) -> Response:
    """The page of a checkpoint. Its head is sent before its state is read."""
    inspector, key = inspector_of(request), checkpoint_of(request)
    outline = drive(outlined_checkpoint(inspector.store, key))
    return streamed(
        "checkpoint.html",
        inspector=inspector,
        place="threads",
        key=key,
        outline=outline,
        step=step_of(outline),
        namespace=short_namespace(key.checkpoint_ns),
        read=partial(attempt, partial(_shown, inspector, key)),
    )


def _shown(inspector: Inspector, key: CheckpointKey) -> ShownState:
    state = inspector.states.fresh(key)
    found = attempt(partial(drive, shared_with_parent(inspector.store, key, state.parent_checkpoint_id)))
    shared: dict[str, Shared] = {} if isinstance(found, Problem) else found
    channels = [ShownChannel(of, StructureHtml(of_channel(key, name)).whole(of.content), shared.get(name)) for name, of in _in_order(state)]
    return ShownState(
        state=state,
        metadata=StructureHtml(of_metadata(key)).whole(state.metadata),
        channels=[each for each in channels if not each.of.is_internal],
        internal=[each for each in channels if each.of.is_internal],
        tasks=_tasks(key, state),
    )


def _in_order(state: CheckpointState) -> list[tuple[str, ChannelState]]:
    """Conversations first: they are what people look for."""
    return sorted(state.channels.items(), key=lambda item: (item[0] != "messages", item[0]))


_KINDS = {INTERRUPT_CHANNEL: "interrupt", ERROR_CHANNEL: "error"}


def _tasks(key: CheckpointKey, state: CheckpointState) -> list[ShownTask]:
    tasks: dict[str, list[ShownWrite]] = {}
    for number, write in enumerate(state.writes):
        value = StructureHtml(of_write(key, number)).whole(write.content)
        shown = ShownWrite(write.channel, write.size, _KINDS.get(write.channel, "write"), value)
        tasks.setdefault(write.task_id, []).append(shown)
    return [ShownTask(task_id, writes) for task_id, writes in tasks.items()]
