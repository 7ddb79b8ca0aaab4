"""The difference of two checkpoints, channel by channel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from ckptstore.errors import InvalidConfig
from ckptstore.inspection.outline import OutlinedCheckpoint, find_checkpoint, outlined_checkpoint
from ckptstore.inspector.addressing import numbers_of, part_at
from ckptstore.inspector.checkpoint_page import attempt
from ckptstore.inspector.context import Inspector, inspector_of, required
from ckptstore.inspector.rendering import streamed
from ckptstore.inspector.structure_html import HtmlLimits, StructureHtml
from ckptstore.inspector.value_links import of_channel, of_metadata
from ckptstore.langgraph.config import require_text
from ckptstore.langgraph.format import is_internal
from ckptstore.langgraph.inspection.difference import Change, difference
from ckptstore.langgraph.inspection.paths import shown_path
from ckptstore.langgraph.inspection.state import CheckpointState
from ckptstore.langgraph.inspection.steps import step_of
from ckptstore.langgraph.inspection.text_lines import changed_lines
from ckptstore.langgraph.structure.nodes import Structure
from ckptstore.records import CheckpointKey
from ckptstore.runtime.steps import drive

_LIMITS = HtmlLimits(elements=20, messages=20, text=1_500, depth=5)
_MAX_CHANGES = 200
_MAX_LINES = 60


class ShownChange(NamedTuple):
    """A change of the page."""

    kind: str
    path: str
    before: Markup | None
    after: Markup | None
    #: The lines in which two texts differ, each with its sign (`+` or `-`).
    lines: Sequence[tuple[str, str]]


class ShownChanges(NamedTuple):
    """The changes of a channel, or of the metadata."""

    name: str
    #: `added`, `removed` or `changed`.
    kind: str
    changes: Sequence[ShownChange]
    #: How many of them are not shown.
    left_out: int


class ShownDifference(NamedTuple):
    """What of the page has to be read."""

    channels: Sequence[ShownChanges]
    metadata: ShownChanges | None
    internal: Sequence[str]
    unchanged: Sequence[str]


def diff(request: Request) -> Response:
    """The page of a difference. Its head is sent before the states are read."""
    inspector = inspector_of(request)
    thread_id, chosen = required(request, "thread"), request.query_params.getlist("c")
    if len(chosen) != 2:
        raise InvalidConfig(f"two checkpoints can be compared, and {len(chosen) or 'none'} are chosen; go back, and choose two")
    outlines = sorted((_outline(inspector, thread_id, each) for each in chosen), key=lambda each: each.key.checkpoint_id)
    keys = [each.key for each in outlines]
    return streamed(
        "diff.html",
        inspector=inspector,
        place="threads",
        thread_id=thread_id,
        sides=[(each, step_of(each)) for each in outlines],
        read=partial(attempt, partial(_shown, inspector, *keys)),
    )


def _outline(inspector: Inspector, thread_id: str, chosen: str) -> OutlinedCheckpoint:
    """The outline of a checkpoint that the form names by its id, and after a space its namespace."""
    checkpoint_id, _, checkpoint_ns = require_text(chosen, "c").partition(" ")
    return drive(outlined_checkpoint(inspector.store, drive(find_checkpoint(inspector.store, thread_id, checkpoint_ns, checkpoint_id))))


def _shown(inspector: Inspector, before: CheckpointKey, after: CheckpointKey) -> ShownDifference:
    states = [inspector.states.fresh(key) for key in (before, after)]
    found = difference(*states)
    channels = [
        _changes(of.name, of.kind, of.changes, [_Side.of_channel(state, of.name) for state in states])
        for of in found.channels
        if not is_internal(of.name)
    ]
    metadata = [_Side(StructureHtml(of_metadata(state.key), _LIMITS), state.metadata) for state in states]
    return ShownDifference(
        channels=channels,
        metadata=_changes("metadata", "changed", found.metadata, metadata) if found.metadata else None,
        internal=[of.name for of in found.channels if is_internal(of.name)],
        unchanged=found.unchanged,
    )


class _Side(NamedTuple):
    """A value on one side of a difference."""

    html: StructureHtml
    content: Structure

    @classmethod
    def of_channel(cls, state: CheckpointState, name: str) -> _Side:
        """A channel's value; None where the state does not have it."""
        content = state.channels[name].content if name in state.channels else None
        return cls(StructureHtml(of_channel(state.key, name), _LIMITS), content)

    def shown(self, part: Structure, path: Sequence[str | int]) -> Markup:
        """A part of the value. Indexes of a path are those of one side; on the other, the part may be elsewhere, and is looked for."""
        numbers = numbers_of(self.content, path)
        if numbers is None or part_at(self.content, numbers) is not part:
            numbers = ()
        return self.html.of(part, numbers)


def _changes(name: str, kind: str, changes: Sequence[Change], sides: Sequence[_Side]) -> ShownChanges:
    shown = [_change(change, *sides) for change in changes[:_MAX_CHANGES]]
    return ShownChanges(name, kind, shown, len(changes) - len(shown))


def _change(change: Change, before: _Side, after: _Side) -> ShownChange:
    lines = changed_lines(change.before, change.after, _MAX_LINES)
    return ShownChange(
        kind=change.kind,
        path=shown_path(change.path),
        before=before.shown(change.before, change.path) if change.kind in ("removed", "changed") else None,
        after=after.shown(change.after, change.path) if change.kind != "removed" else None,
        lines=[(line[:1], line[1:]) for line in lines],
    )
