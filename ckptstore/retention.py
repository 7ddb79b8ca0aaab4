"""What may go: pure decisions over a thread's checkpoints. Nothing here touches a database.

A rule names the checkpoints to keep; `support_of` names the ancestors without which one of them would read differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

#: LangGraph's counters: their names are the channels whose values are rebuilt from ancestors' writes.
_DELTA_COUNTERS = "counters_since_delta_snapshot"

#: Formats before this one keep a checkpoint's `Send`s as writes of its parent.
_FORMAT_WITH_OWN_SENDS = 4


class Place(NamedTuple):
    """A checkpoint within its thread."""

    checkpoint_ns: str
    checkpoint_id: str


@dataclass(frozen=True, slots=True)
class Node:
    """One checkpoint, as far as a rule needs to know it."""

    place: Place
    parent_checkpoint_id: str | None
    #: Microseconds since 1970, UTC.
    created_at: int
    format: int
    channel_versions: Mapping[str, str]
    #: JSON.
    metadata: str
    #: Pruned before, and kept for others only.
    support: bool = False

    @property
    def parent(self) -> Place | None:
        """The parent's place: always in the same namespace."""
        if self.parent_checkpoint_id is None:
            return None
        return Place(self.place.checkpoint_ns, self.parent_checkpoint_id)

    @property
    def counted_channels(self) -> frozenset[str]:
        """The channels that have counted steps since their last snapshot."""
        if _DELTA_COUNTERS not in self.metadata:
            return frozenset()
        return frozenset(json.loads(self.metadata).get(_DELTA_COUNTERS) or ())

    @property
    def root(self) -> Place:
        """For a subgraph's checkpoint that of the root graph which it ran under; else its own place."""
        if self.place.checkpoint_ns == "":
            return self.place
        root_id = (json.loads(self.metadata).get("parents") or {}).get("")
        return self.place if root_id is None else Place("", root_id)


@dataclass(frozen=True)
class ThreadView:
    """A thread's checkpoints, and what else decides whether one of them can be read without its ancestors."""

    nodes: Mapping[Place, Node]
    #: (namespace, channel, version) of every stored value.
    stored: Set[tuple[str, str, str]]
    #: Checkpoints whose writes hold `Send`s.
    with_sends: Set[Place]

    @property
    def visible(self) -> Iterator[Node]:
        """The checkpoints that a reader can find."""
        return (node for node in self.nodes.values() if not node.support)

    @cached_property
    def delta_channels(self) -> Set[tuple[str, str]]:
        """(namespace, channel) of every channel that is rebuilt from writes.

        A thread's whole evidence counts: a graph that does not know the channel may have written the newest checkpoint,
        and one that does may read it again.
        """
        return {(node.place.checkpoint_ns, channel) for node in self.nodes.values() for channel in node.counted_channels}


Rule = Callable[[ThreadView], set[Place]]


def keep_nothing(_view: ThreadView) -> set[Place]:
    """Everything goes."""
    return set()


def keep_newest(view: ThreadView) -> set[Place]:
    """The newest checkpoint of each namespace stays."""
    newest: dict[str, str] = {}
    for node in view.visible:
        namespace, checkpoint_id = node.place
        newest[namespace] = max(newest.get(namespace, ""), checkpoint_id)
    return {Place(*item) for item in newest.items()}


def keep_since(moment: int) -> Rule:
    """The checkpoints created at `moment` or later stay (microseconds since 1970, UTC).

    A checkpoint of the root graph and those of the subgraphs that ran under it share their fate: the youngest decides.
    """

    def rule(view: ThreadView) -> set[Place]:
        young = {node.root for node in view.visible if node.created_at >= moment}
        return {node.place for node in view.visible if node.root in young or node.created_at >= moment}

    return rule


def keep_all_but(places: Set[Place]) -> Rule:
    """All but the given checkpoints stay."""
    return lambda view: {node.place for node in view.visible if node.place not in places}


def support_of(view: ThreadView, kept: Set[Place]) -> set[Place]:
    """The ancestors that one of the kept checkpoints is read from, and that are not kept themselves.

    A channel that is rebuilt from writes needs its ancestors back to the nearest stored value; a checkpoint of an old
    format needs the parent that holds its `Send`s. Nobody reads the ancestors for their own sake any more, so what they
    in turn were read from is not needed.
    """
    return {place for kept_place in kept for place in _read_from(view, view.nodes[kept_place])} - kept


def _read_from(view: ThreadView, node: Node) -> Iterable[Place]:
    place = node.parent
    if node.format < _FORMAT_WITH_OWN_SENDS and place is not None and place in view.with_sends and place in view.nodes:
        yield place
    namespace = node.place.checkpoint_ns
    # Without a version a channel was never written: it is empty, and nothing is looked for.
    remaining = {channel for channel in node.channel_versions if (namespace, channel) in view.delta_channels}
    remaining = {channel for channel in remaining if not _stores(view, node, channel)}
    visited = {node.place}
    while remaining and place is not None and place in view.nodes and place not in visited:
        visited.add(place)
        yield place
        ancestor = view.nodes[place]
        remaining = {channel for channel in remaining if not _stores(view, ancestor, channel)}
        place = ancestor.parent


def _stores(view: ThreadView, node: Node, channel: str) -> bool:
    version = node.channel_versions.get(channel)
    return version is not None and (node.place.checkpoint_ns, channel, version) in view.stored
