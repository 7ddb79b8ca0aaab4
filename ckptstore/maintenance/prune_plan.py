"""Planning a prune: pure functions that decide which checkpoints of a thread are deleted, and in which order.

A rule names the checkpoints to keep. `plan_stages` splits the removal of the others into stages, so that after each of them every
checkpoint that readers still find reads as before.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ckptstore.records import StateFormat

#: Namespace, channel and version: the key of a stored value within its thread.
Version = tuple[str, str, str]

#: How much metadata one transaction may delete the tags of: tens of thousands of tags would hold up other writes on SQLite.
MAX_METADATA_CHARACTERS = 128 * 1024

_NEVER = math.inf


class CheckpointRef(NamedTuple):
    """A checkpoint within its thread."""

    checkpoint_ns: str
    checkpoint_id: str


@dataclass(frozen=True, slots=True)
class Node:
    """What a rule and a plan need to know of one checkpoint."""

    state_format: StateFormat
    ref: CheckpointRef
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    #: None for a version whose value is stored in the checkpoint itself.
    channel_versions: Mapping[str, str | None]
    #: JSON.
    metadata: str
    #: Bytes that the checkpoint added.
    size: int
    #: Removed by an earlier prune, and kept only because other checkpoints are rebuilt from it.
    hidden: bool = False

    @property
    def parent(self) -> CheckpointRef | None:
        """The parent, which is always in the same namespace."""
        if self.parent_checkpoint_id is None:
            return None
        return CheckpointRef(self.ref.checkpoint_ns, self.parent_checkpoint_id)

    @property
    def delta_channels(self) -> frozenset[str]:
        """The channels that are rebuilt from the writes of ancestors, according to this checkpoint's metadata."""
        return self.state_format.delta_channels(self.metadata)

    @property
    def root(self) -> CheckpointRef:
        """For a subgraph's checkpoint, the root graph's checkpoint that it ran under; otherwise the checkpoint itself."""
        if self.ref.checkpoint_ns == "":
            return self.ref
        root_id = self.state_format.root_checkpoint_id(self.metadata)
        return self.ref if root_id is None else CheckpointRef("", root_id)

    @property
    def is_of_single_task(self) -> bool:
        """Whether it belongs to a subgraph that one task of the root graph ran; only that task continues it."""
        return self.state_format.is_task_namespace(self.ref.checkpoint_ns) and self.root != self.ref

    @property
    def is_of_stateful_subgraph(self) -> bool:
        """Whether it belongs to a subgraph that keeps its own state from one run of the root graph to the next."""
        return self.ref.checkpoint_ns != "" and not self.state_format.is_task_namespace(self.ref.checkpoint_ns)


@dataclass(frozen=True)
class ThreadView:
    """A thread's checkpoints, and what else decides which ancestors each of them is rebuilt from."""

    nodes: Mapping[CheckpointRef, Node]
    stored_values: Set[Version]
    #: Checkpoints that have writes to the channel of tasks (`StateFormat.tasks_channel`).
    with_task_writes: Set[CheckpointRef]
    #: When something was last stored in the thread, to the second (microseconds since 1970, UTC).
    updated_at: int

    @property
    def visible(self) -> Iterator[Node]:
        """The checkpoints that readers find."""
        return (node for node in self.nodes.values() if not node.hidden)

    @cached_property
    def namespaces(self) -> Set[str]:
        """The namespaces of all checkpoints."""
        return {ref.checkpoint_ns for ref in self.nodes}

    @cached_property
    def has_old_formats(self) -> bool:
        """Whether a checkpoint has a format whose tasks are writes of its parent."""
        return any(node.format < node.state_format.first_format_with_own_tasks for node in self.nodes.values())

    @cached_property
    def delta_channels(self) -> Set[tuple[str, str]]:
        """(namespace, channel) of every channel that is rebuilt from writes.

        Every checkpoint of the thread counts, not only the newest: that may come from a graph that does not have the channel, while
        another graph that has it may read it again.
        """
        return {(node.ref.checkpoint_ns, channel) for node in self.nodes.values() for channel in node.delta_channels}


#: Returns the checkpoints of a thread to keep, all of them visible.
Rule = Callable[[ThreadView], set[CheckpointRef]]


def keep_nothing(_view: ThreadView) -> set[CheckpointRef]:
    """Keep no checkpoint."""
    return set()


def keep_newest(view: ThreadView) -> set[CheckpointRef]:
    """Keep the newest checkpoint of the root graph, what ran under it, and the newest state of each subgraph that has its own.

    A checkpoint that names no root, or one that was deleted, counts as the root of its namespace.
    """
    visible = {node.ref for node in view.visible}
    return with_subgraphs(view, newest_of((node for node in view.visible if node.root == node.ref or node.root not in visible), 1))


def with_subgraphs(view: ThreadView, chosen: set[CheckpointRef]) -> set[CheckpointRef]:
    """Some checkpoints and those that must stay with them: all that ran under the same roots, and the newest states of subgraphs."""
    roots = {view.nodes[ref].root for ref in chosen}
    kept = chosen | {node.ref for node in view.visible if node.root in roots}
    # The root graph continues with the newest state of these subgraphs, however old it is.
    return kept | newest_of((node for node in view.visible if node.is_of_stateful_subgraph), 1) if kept else set()


def newest_of(nodes: Iterable[Node], number: int) -> set[CheckpointRef]:
    """The newest `number` of these checkpoints in each namespace."""
    by_namespace: dict[str, list[str]] = {}
    for node in nodes:
        by_namespace.setdefault(node.ref.checkpoint_ns, []).append(node.ref.checkpoint_id)
    return {CheckpointRef(namespace, each) for namespace, ids in by_namespace.items() for each in sorted(ids)[-number:]}


def keep_all_but(refs: Set[CheckpointRef]) -> Rule:
    """Keep every checkpoint but the given ones."""
    return lambda view: {node.ref for node in view.visible if node.ref not in refs}


@dataclass(slots=True)
class Stage:
    """What one transaction deletes. After each stage every checkpoint that readers find reads as before."""

    #: Checkpoints that readers find before the stage and not after it: each is hidden or deleted.
    removed: list[Node] = field(default_factory=list)
    #: Those of them that are kept without being found, because others are rebuilt from them.
    hidden: list[CheckpointRef] = field(default_factory=list)
    #: Checkpoints whose rows are deleted, removed by this stage or hidden before.
    deleted: list[CheckpointRef] = field(default_factory=list)
    #: Values to which no checkpoint refers any more.
    values: list[Version] = field(default_factory=list)


def plan_stages(view: ThreadView, kept: Set[CheckpointRef], max_per_stage: int) -> list[Stage]:
    """Plan how to remove all checkpoints but the kept ones: at least one stage, which may be empty.

    The oldest are removed first, so that the newest checkpoint of a namespace is its newest until the last stage. A checkpoint
    from which a remaining one is rebuilt is hidden, and deleted once no remaining one needs it.

    Args:
        view: the thread.
        kept: the checkpoints to keep.
        max_per_stage: how many checkpoints a stage removes at most.
    """
    removable = sorted((node for node in view.visible if node.ref not in kept), key=lambda node: (node.ref.checkpoint_id, node.ref))
    removed_in = _removed_in(removable, max_per_stage)
    stages = [Stage() for _ in range(max(removed_in.values(), default=0) + 1)]
    needed_until = _needed_until(view, kept, removable, removed_in)
    deleted_in: dict[CheckpointRef, float] = {node.ref: needed_until.get(node.ref, 0) for node in view.nodes.values() if node.hidden}
    for node in removable:
        stage = removed_in[node.ref]
        deleted_in[node.ref] = max(stage, needed_until.get(node.ref, 0))
        stages[stage].removed.append(node)
        if deleted_in[node.ref] > stage:
            stages[stage].hidden.append(node.ref)
    _limit_deletions(deleted_in, removed_in, len(stages), max_per_stage)
    last = max((stage for stage in deleted_in.values() if stage != _NEVER), default=0)
    stages += [Stage() for _ in range(len(stages), int(last) + 1)]
    for ref, number in deleted_in.items():
        if number != _NEVER:
            stages[int(number)].deleted.append(ref)
    for version, number in _values_deleted_in(view, deleted_in).items():
        stages[int(number)].values.append(version)
    return stages


def _removed_in(removable: Sequence[Node], max_per_stage: int) -> dict[CheckpointRef, int]:
    """The stage in which each checkpoint is removed: few in one whose metadata is long, and has many tags."""
    removed_in: dict[CheckpointRef, int] = {}
    stage = count = size = 0
    for node in removable:
        size += len(node.metadata)
        if count and (count == max_per_stage or size > MAX_METADATA_CHARACTERS):
            stage, count, size = stage + 1, 0, len(node.metadata)
        removed_in[node.ref] = stage
        count += 1
    return removed_in


def _limit_deletions(
    deleted_in: dict[CheckpointRef, float], removed_in: Mapping[CheckpointRef, int], stage_count: int, max_per_stage: int
) -> None:
    """Limit how many checkpoints each stage deletes: hidden ones may be deleted later too, in more stages at the end."""
    counts = Counter(stage for ref, stage in deleted_in.items() if removed_in.get(ref) == stage)
    last = stage_count
    for earliest, ref in sorted((stage, ref) for ref, stage in deleted_in.items() if stage != _NEVER and removed_in.get(ref) != stage):
        stage = earliest
        if counts[stage] >= max_per_stage:
            last += counts[last] >= max_per_stage
            stage = deleted_in[ref] = last
        counts[stage] += 1


def _needed_until(
    view: ThreadView, kept: Set[CheckpointRef], removable: Sequence[Node], removed_in: Mapping[CheckpointRef, int]
) -> dict[CheckpointRef, float]:
    """For each checkpoint from which others are rebuilt, the stage that removes the last of those others."""
    needed_until: dict[CheckpointRef, float] = {}
    for node in (*(view.nodes[ref] for ref in kept), *reversed(removable)):
        for ancestor in _rebuilt_from(view, node):
            # The loop begins with what is kept or removed last, so the first value is the greatest.
            needed_until.setdefault(ancestor, removed_in.get(node.ref, _NEVER))
    return needed_until


def _values_deleted_in(view: ThreadView, deleted_in: Mapping[CheckpointRef, float]) -> dict[Version, float]:
    """For each stored value that is deleted, the stage that deletes the last checkpoint that refers to it."""
    referenced_until: dict[Version, float] = dict.fromkeys(view.stored_values, 0)
    for node in view.nodes.values():
        stage = deleted_in.get(node.ref, _NEVER)
        for channel, version in node.channel_versions.items():
            if version is not None and (value := (node.ref.checkpoint_ns, channel, version)) in referenced_until:
                referenced_until[value] = max(referenced_until[value], stage)
    return {value: stage for value, stage in referenced_until.items() if stage != _NEVER}


def _rebuilt_from(view: ThreadView, node: Node) -> Iterable[CheckpointRef]:
    """The ancestors without which a checkpoint would read differently.

    A channel that is rebuilt from writes needs the ancestors back to the nearest one with a stored value; a checkpoint of an old
    format needs the parent that has its tasks.
    """
    ref = node.parent
    parent_has_tasks = node.format < node.state_format.first_format_with_own_tasks and ref in view.with_task_writes
    if parent_has_tasks and ref is not None and ref in view.nodes:
        yield ref
    namespace = node.ref.checkpoint_ns
    # A channel without a version was never written: it is empty, and nothing is read for it.
    unresolved = {channel for channel in node.channel_versions if (namespace, channel) in view.delta_channels}
    unresolved = {channel for channel in unresolved if not has_value(view, node, channel)}
    visited = {node.ref}
    while unresolved and ref is not None and ref in view.nodes and ref not in visited:
        visited.add(ref)
        yield ref
        ancestor = view.nodes[ref]
        unresolved = {channel for channel in unresolved if not has_value(view, ancestor, channel)}
        ref = ancestor.parent


def has_value(view: ThreadView, node: Node, channel: str) -> bool:
    """Whether the value that a checkpoint has of a channel is stored, so that it is not rebuilt from writes."""
    if channel not in node.channel_versions:
        return False
    version = node.channel_versions[channel]
    return version is None or (node.ref.checkpoint_ns, channel, version) in view.stored_values
