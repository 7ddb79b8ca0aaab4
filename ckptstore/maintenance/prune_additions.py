"""Whether a plan to prune a thread still holds after checkpoints were added to the thread: pure functions that touch no database.

Deciding all anew would take as long as the thread is, for each stage, while others write to the thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Self

from ckptstore.maintenance.prune_plan import CheckpointRef, Node, Stage, ThreadView, Version, has_value


@dataclass(frozen=True)
class PlannedThread:
    """A thread as it was when its prune was planned, and the checkpoints that were added to it since."""

    view: ThreadView
    #: What the plan removes or deletes, in any stage.
    deleted: Set[CheckpointRef]
    deleted_values: Set[Version]
    #: The greatest id of all known checkpoints.
    greatest_id: str
    added: Mapping[CheckpointRef, Node] = field(default_factory=dict)

    @classmethod
    def of(cls, view: ThreadView, stages: Iterable[Stage]) -> Self:
        """The thread of a plan."""
        deleted: set[CheckpointRef] = set()
        values: set[Version] = set()
        for stage in stages:
            deleted.update(stage.deleted, (node.ref for node in stage.removed))
            values.update(stage.values)
        return cls(view, deleted, values, max((ref.checkpoint_id for ref in view.nodes), default=""))

    def with_added(self, nodes: Sequence[Node]) -> Self | None:
        """The thread with further checkpoints; None if the plan may delete what one of them is rebuilt from, or belongs to.

        The plan then deletes what it would have deleted if it had been executed before they came.
        """
        if self.view.has_old_formats:
            # Which ancestors they are rebuilt from depends on writes too.
            return None
        added = dict(self.added)
        for node in sorted(nodes, key=lambda node: node.ref.checkpoint_id):
            if not self._is_independent(node, added):
                return None
            added[node.ref] = node
        greatest_id = max([self.greatest_id, *(node.ref.checkpoint_id for node in nodes)])
        return replace(self, greatest_id=greatest_id, added=added)

    def _is_independent(self, node: Node, added: Mapping[CheckpointRef, Node]) -> bool:
        namespace, versions = node.ref.checkpoint_ns, node.channel_versions
        values = {(namespace, channel, version) for channel, version in versions.items() if version is not None}
        carries_deleted = not values.isdisjoint(self.deleted_values)
        if node.hidden or carries_deleted or node.root in self.deleted or not self._knows_delta_channels(node):
            return False
        if node.parent is None:
            return True
        parent = added.get(node.parent) or self.view.nodes.get(node.parent)
        if node.parent in self.deleted or (parent is not None and parent.hidden):
            return False
        # The ancestors from which the parent's channels are rebuilt stay with the parent.
        return parent is None or all(channel in parent.channel_versions for channel in self._rebuilt_channels(node))

    def _knows_delta_channels(self, node: Node) -> bool:
        """Whether no channel of older checkpoints turns out to be rebuilt from writes."""
        namespace = node.ref.checkpoint_ns
        new = [channel for channel in node.delta_channels if (namespace, channel) not in self.view.delta_channels]
        return not new or namespace not in self.view.namespaces

    def _rebuilt_channels(self, node: Node) -> Iterable[str]:
        """The channels of a checkpoint that are rebuilt from writes, unless their value is stored."""
        namespace = node.ref.checkpoint_ns
        return (
            channel
            for channel in node.channel_versions
            if (namespace, channel) in self.view.delta_channels and not has_value(self.view, node, channel)
        )
