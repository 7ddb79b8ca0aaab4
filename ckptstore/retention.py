"""What may go: pure decisions over a thread's checkpoints. Nothing here touches a database.

A rule names the checkpoints to keep; `with_support` adds the ancestors without which a kept one would read differently.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
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

    @property
    def parent(self) -> Place | None:
        """The parent's place: always in the same namespace."""
        if self.parent_checkpoint_id is None:
            return None
        return Place(self.place.checkpoint_ns, self.parent_checkpoint_id)

    @property
    def delta_channels(self) -> frozenset[str]:
        """The channels that have counted steps since their last snapshot."""
        if _DELTA_COUNTERS not in self.metadata:
            return frozenset()
        return frozenset(json.loads(self.metadata).get(_DELTA_COUNTERS) or ())


@dataclass(frozen=True, slots=True)
class ThreadView:
    """A thread's checkpoints, and what else decides whether one of them can be read without its ancestors."""

    nodes: Mapping[Place, Node]
    #: (namespace, channel, version) of every stored value.
    stored: Set[tuple[str, str, str]]
    #: Checkpoints whose writes hold `Send`s.
    with_sends: Set[Place]


Rule = Callable[[ThreadView], set[Place]]


def keep_nothing(_view: ThreadView) -> set[Place]:
    """Everything goes."""
    return set()


def keep_newest(view: ThreadView) -> set[Place]:
    """The newest checkpoint of each namespace stays."""
    newest: dict[str, str] = {}
    for namespace, checkpoint_id in view.nodes:
        newest[namespace] = max(newest.get(namespace, ""), checkpoint_id)
    return {Place(*item) for item in newest.items()}


def keep_since(moment: int) -> Rule:
    """The checkpoints created at `moment` or later stay (microseconds since 1970, UTC)."""
    return lambda view: {place for place, node in view.nodes.items() if node.created_at >= moment}


def keep_all_but(places: Set[Place]) -> Rule:
    """All but the given checkpoints stay."""
    return lambda view: {place for place in view.nodes if place not in places}


def with_support(view: ThreadView, kept: Iterable[Place]) -> set[Place]:
    """The kept checkpoints and every ancestor that one of them, or one of those, is read from.

    A channel that is rebuilt from writes needs its ancestors back to the nearest stored value; a checkpoint of an old
    format needs the parent that holds its `Send`s.
    """
    support = set(kept)
    todo = list(support)
    while todo:
        for place in _read_from(view, view.nodes[todo.pop()]):
            if place not in support:
                support.add(place)
                todo.append(place)
    return support


def _read_from(view: ThreadView, node: Node) -> Iterable[Place]:
    place = node.parent
    if node.format < _FORMAT_WITH_OWN_SENDS and place is not None and place in view.with_sends and place in view.nodes:
        yield place
    remaining = {channel for channel in node.delta_channels if not _stores(view, node, channel)}
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
