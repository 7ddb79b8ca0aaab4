"""What may go: pure decisions over a thread's checkpoints. Nothing here touches a database.

A rule names the checkpoints to keep; `plan_stages` says how the others go, so that none of those that remain reads differently.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ckptstore.records import StateFormat

#: Namespace, channel and version: the name of a stored value within its thread.
Version = tuple[str, str, str]

_NEVER = math.inf


class CheckpointRef(NamedTuple):
    """A checkpoint within its thread."""

    checkpoint_ns: str
    checkpoint_id: str


@dataclass(frozen=True, slots=True)
class Node:
    """One checkpoint, as far as a rule needs to know it."""

    state_format: StateFormat
    ref: CheckpointRef
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    #: None for a version whose value is in the checkpoint itself.
    channel_versions: Mapping[str, str | None]
    #: JSON.
    metadata: str
    #: Bytes that it added.
    size: int
    #: Pruned before, and kept for others only.
    hidden: bool = False

    @property
    def parent(self) -> CheckpointRef | None:
        """The parent's ref: always in the same namespace."""
        if self.parent_checkpoint_id is None:
            return None
        return CheckpointRef(self.ref.checkpoint_ns, self.parent_checkpoint_id)

    @property
    def delta_channels(self) -> frozenset[str]:
        """The channels whose values are rebuilt from the writes of ancestors, as this checkpoint knows."""
        return self.state_format.delta_channels(self.metadata)

    @property
    def root(self) -> CheckpointRef:
        """For a subgraph's checkpoint that of the root graph which it ran under; else its own ref."""
        if self.ref.checkpoint_ns == "":
            return self.ref
        root_id = self.state_format.root_checkpoint_id(self.metadata)
        return self.ref if root_id is None else CheckpointRef("", root_id)

    @property
    def of_single_task(self) -> bool:
        """Whether it is of a subgraph that one task of the root graph ran: nothing continues it but that task."""
        return self.state_format.is_task_namespace(self.ref.checkpoint_ns) and self.root != self.ref

    @property
    def of_memory(self) -> bool:
        """Whether it is of a subgraph that keeps a state of its own from one run of the root graph to the next."""
        return self.ref.checkpoint_ns != "" and not self.state_format.is_task_namespace(self.ref.checkpoint_ns)


@dataclass(frozen=True)
class ThreadView:
    """A thread's checkpoints, and what else decides whether one of them can be read without its ancestors."""

    nodes: Mapping[CheckpointRef, Node]
    #: Every stored value.
    stored: Set[Version]
    #: Checkpoints whose writes hold `Send`s.
    with_sends: Set[CheckpointRef]
    #: When something was last stored in the thread, to the second (microseconds since 1970, UTC).
    active_at: int

    @property
    def visible(self) -> Iterator[Node]:
        """The checkpoints that a reader can find."""
        return (node for node in self.nodes.values() if not node.hidden)

    @cached_property
    def delta_channels(self) -> Set[tuple[str, str]]:
        """(namespace, channel) of every channel that is rebuilt from writes.

        A thread's whole evidence counts: a graph that does not know the channel may have written the newest checkpoint,
        and one that does may read it again.
        """
        return {(node.ref.checkpoint_ns, channel) for node in self.nodes.values() for channel in node.delta_channels}


Rule = Callable[[ThreadView], set[CheckpointRef]]


def keep_nothing(_view: ThreadView) -> set[CheckpointRef]:
    """Everything goes."""
    return set()


def keep_newest(view: ThreadView) -> set[CheckpointRef]:
    """The newest checkpoint of each namespace stays."""
    return newest_of(view.visible, 1)


def newest_of(nodes: Iterable[Node], number: int) -> set[CheckpointRef]:
    """The newest of these checkpoints, so many of each namespace."""
    by_namespace: dict[str, list[str]] = {}
    for node in nodes:
        by_namespace.setdefault(node.ref.checkpoint_ns, []).append(node.ref.checkpoint_id)
    return {CheckpointRef(namespace, found) for namespace, ids in by_namespace.items() for found in sorted(ids)[-number:]}


def keep_all_but(refs: Set[CheckpointRef]) -> Rule:
    """All but the given checkpoints stay."""
    return lambda view: {node.ref for node in view.visible if node.ref not in refs}


@dataclass(slots=True)
class Stage:
    """What goes in one transaction. After each stage the thread is whole: all that can still be found reads as it did."""

    #: Checkpoints that could be found until now.
    removed: list[Node] = field(default_factory=list)
    #: Those of them that stay, out of sight, since others are read from them.
    hidden: list[CheckpointRef] = field(default_factory=list)
    #: Checkpoints that go, whether they are lost now or were hidden before.
    deleted: list[CheckpointRef] = field(default_factory=list)
    #: Values that no checkpoint names any more.
    values: list[Version] = field(default_factory=list)


def plan_stages(view: ThreadView, kept: Set[CheckpointRef], most: int) -> list[Stage]:
    """How to come to a thread in which only the kept checkpoints can be found: at least one stage, perhaps of nothing.

    The oldest go first, so that the newest checkpoint of a namespace is its newest to the end. What a remaining one is read
    from is hidden, and goes when nothing that remains needs it.

    Args:
        view: the thread.
        kept: the checkpoints that stay.
        most: how many checkpoints are lost in a stage.
    """
    removable = sorted((node for node in view.visible if node.ref not in kept), key=lambda node: (node.ref.checkpoint_id, node.ref))
    stages = [Stage() for _ in range(max(1, -(-len(removable) // most)))]
    lost_in = {node.ref: number // most for number, node in enumerate(removable)}
    needed = _needed_in(view, kept, removable, lost_in)
    goes_in: dict[CheckpointRef, float] = {node.ref: needed.get(node.ref, 0) for node in view.nodes.values() if node.hidden}
    for node in removable:
        lost = lost_in[node.ref]
        goes_in[node.ref] = max(lost, needed.get(node.ref, 0))
        stages[lost].removed.append(node)
        if goes_in[node.ref] > lost:
            stages[lost].hidden.append(node.ref)
    _spread(goes_in, lost_in, len(stages), most)
    last = max((goes for goes in goes_in.values() if goes != _NEVER), default=0)
    stages += [Stage() for _ in range(len(stages), int(last) + 1)]
    for ref, goes in goes_in.items():
        if goes != _NEVER:
            stages[int(goes)].deleted.append(ref)
    for version, goes in _unnamed_in(view, goes_in).items():
        stages[int(goes)].values.append(version)
    return stages


def _spread(goes_in: dict[CheckpointRef, float], lost_in: Mapping[CheckpointRef, int], stages: int, most: int) -> None:
    """Let no stage take more than so many: what is hidden may go later too, in stages of its own at the end."""
    taken = Counter(goes for ref, goes in goes_in.items() if lost_in.get(ref) == goes)
    end = stages
    for earliest, ref in sorted((goes, ref) for ref, goes in goes_in.items() if goes != _NEVER and lost_in.get(ref) != goes):
        stage = earliest
        if taken[stage] >= most:
            end += taken[end] >= most
            stage = goes_in[ref] = end
        taken[stage] += 1


def _needed_in(
    view: ThreadView, kept: Set[CheckpointRef], removable: Sequence[Node], lost_in: Mapping[CheckpointRef, int]
) -> dict[CheckpointRef, float]:
    """For each checkpoint that others are read from, the stage in which the last of them is lost."""
    needed: dict[CheckpointRef, float] = {}
    for node in (*(view.nodes[ref] for ref in kept), *reversed(removable)):
        for ancestor in _read_from(view, node):
            # The last come first.
            needed.setdefault(ancestor, lost_in.get(node.ref, _NEVER))
    return needed


def _unnamed_in(view: ThreadView, goes_in: Mapping[CheckpointRef, float]) -> dict[Version, float]:
    """For each stored value that will not stay, the stage in which the last checkpoint goes that names it."""
    named: dict[Version, float] = dict.fromkeys(view.stored, 0)
    for node in view.nodes.values():
        stage = goes_in.get(node.ref, _NEVER)
        for channel, version in node.channel_versions.items():
            if version is not None and (value := (node.ref.checkpoint_ns, channel, version)) in named:
                named[value] = max(named[value], stage)
    return {value: stage for value, stage in named.items() if stage != _NEVER}


def _read_from(view: ThreadView, node: Node) -> Iterable[CheckpointRef]:
    """The ancestors without which a checkpoint would read differently.

    A channel that is rebuilt from writes needs its ancestors back to the nearest stored value; a checkpoint of an old format
    needs the parent that holds its `Send`s.
    """
    ref = node.parent
    if node.format < node.state_format.first_format_with_own_tasks and ref is not None and ref in view.with_sends and ref in view.nodes:
        yield ref
    namespace = node.ref.checkpoint_ns
    # Without a version a channel was never written: it is empty, and nothing is looked for.
    remaining = {channel for channel in node.channel_versions if (namespace, channel) in view.delta_channels}
    remaining = {channel for channel in remaining if not _stores(view, node, channel)}
    visited = {node.ref}
    while remaining and ref is not None and ref in view.nodes and ref not in visited:
        visited.add(ref)
        yield ref
        ancestor = view.nodes[ref]
        remaining = {channel for channel in remaining if not _stores(view, ancestor, channel)}
        ref = ancestor.parent


def _stores(view: ThreadView, node: Node, channel: str) -> bool:
    if channel not in node.channel_versions:
        return False
    version = node.channel_versions[channel]
    return version is None or (node.ref.checkpoint_ns, channel, version) in view.stored
