"""How a listing goes about it: which index leads, what is probed, and what only the metadata can tell.

Planners do not know which of several tags is rare, so candidates are counted first, up to a bound: exact counts of common
tags would cost more than they save.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.records import CheckpointKey
from ckptstore.tags.conditions import GREATEST_TEXT, ValueIn, ValueRange
from ckptstore.tags.encoding import is_single_valued
from ckptstore.tags.filters import Filter

# From here on a condition counts as common.
_COUNT_BOUND = 1_000
# To gather the threads of so many checkpoints is less work than to walk through all threads in their order.
_GATHERED_FOR_THREADS = 5_000
# Of two common conditions that one leads whose checkpoints are sparser: so many of them reach further back.
_DEPTH = 250
# More values than this are not worth a stream each.
_MOST_STREAMS = 8
_RESTRICTIONS = ("thread_id", "checkpoint_ns", "checkpoint_id", "before", "created_after", "created_before")


@dataclass(frozen=True, slots=True)
class CheckpointQuery:
    """Which checkpoints a listing is about; what is None does not restrict it."""

    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: str | None = None
    #: Only ids below this one.
    before: str | None = None
    #: Only checkpoints created from this moment on (microseconds since 1970, UTC).
    created_after: int | None = None
    #: Only checkpoints created before this moment.
    created_before: int | None = None
    wanted: Filter = field(default_factory=lambda: Filter({}))

    @property
    def impossible(self) -> bool:
        """Whether nothing can match: one of no values is wanted."""
        return any(not condition.values for condition in self.wanted.required)


class AccessPath(NamedTuple):
    """Where candidates come from, and about how many they are."""

    kind: str
    cost: int
    parameters: dict[str, Any]
    #: The condition that it makes sure of.
    covers: ValueIn | ValueRange | None = None
    streams: int = 1


class PagePlan(NamedTuple):
    """A page's statement, its parameters, and whether what it finds needs no further test."""

    shape: sql.pages.Shape
    parameters: dict[str, Any]
    exact: bool

    def after(self, last: CheckpointKey | None) -> PagePlan:
        """The same for the page that follows a checkpoint."""
        if last is None:
            return self
        parameters = self.parameters | {f"after_{name}": value for name, value in last._asdict().items()}
        return self._replace(shape=self.shape._replace(given=self.shape.given | {"after"}), parameters=parameters)


def plan_thread_page(
    db: Db,
    wanted: Filter,
) -> PagePlan:
    """The same for a page of threads, each of which has a checkpoint that matches."""
    planner = _Planner(db, CheckpointQuery(wanted=wanted), bound=_GATHERED_FOR_THREADS)
    return _planned(planner, planner.lead_to_threads(), wanted, {})


def plan_page(
    db: Db,
    search: CheckpointQuery,
    after: CheckpointKey | None,
) -> PagePlan:
    """Decide by counting; a small statement or two for each condition that may lead.

    Args:
        db: where to count.
        search: what is asked for.
        after: the checkpoint after which the page begins.
    """
    planner = _Planner(db, search, after)
    restricted = {name: getattr(search, name) for name in _RESTRICTIONS if getattr(search, name) is not None}
    return _planned(planner, planner.lead(), search.wanted, restricted)


def _planned(planner: _Planner, lead: AccessPath, wanted: Filter, restricted: Mapping[str, Any]) -> PagePlan:
    probed = sorted((condition for condition in wanted.required if condition is not lead.covers), key=planner.count)
    parameters = {**restricted, **lead.parameters}
    for number, condition in enumerate(probed):
        parameters |= planner.condition(f"has_{number}", condition)
    for number, posting in enumerate(wanted.forbidden):
        parameters |= {f"lacks_{number}_key": posting.key, f"lacks_{number}_value": posting.value}
    several = tuple(len(condition.values) > 1 for condition in probed)
    shape = sql.pages.Shape(lead.kind, lead.streams, frozenset(restricted), several, len(wanted.forbidden))
    unchecked = [span for span in wanted.spans if span is not lead.covers]
    return PagePlan(shape, parameters, wanted.exact and not unchecked)


class _Planner:
    """Counts what conditions lead to, each at most once."""

    def __init__(self, db: Db, search: CheckpointQuery, after: CheckpointKey | None = None, bound: int | None = None) -> None:
        self._db = db
        self._search = search
        self._bound = _COUNT_BOUND if bound is None else bound
        self._below = min(search.before or GREATEST_TEXT, after.checkpoint_id if after else GREATEST_TEXT)
        self._counts: dict[ValueIn | ValueRange, int] = {}
        #: How far back a condition's newest checkpoints reach: an id, the smaller the further.
        self._reach: dict[ValueIn, str] = {}

    def lead(self) -> AccessPath:
        """The index that leads to the fewest candidates."""
        search, wanted = self._search, self._search.wanted
        whole_table = AccessPath("checkpoints", self._bound + 1, {})
        if search.checkpoint_id is not None:
            return whole_table
        alone = len(wanted.required) == 1 and len(wanted.required[0].values) == 1 and not wanted.spans
        anywhere = search.thread_id is None and search.created_after is None and search.created_before is None
        if alone and anywhere:
            # It will lead however common it is: its stream is in order.
            return self._streams(wanted.required[0], 0)
        self._weigh()
        leads = [self._by_thread()] if search.thread_id is not None else [*self._by_time(), whole_table]
        leads += [lead for condition in wanted.required for lead in self._by_values(condition)]
        leads += [self._by_span(span) for span in wanted.spans]
        in_order = ("checkpoints", "tags")
        # What has to be gathered and sorted is of use only where it is little.
        leads = [lead for lead in leads if lead.kind in in_order or lead.cost < self._bound]
        cheapest = min(lead.cost for lead in leads)
        best = [lead for lead in leads if lead.cost == cheapest]
        return best[0] if len(best) == 1 else min(best, key=self._depth)

    def lead_to_threads(self) -> AccessPath:
        """The rarest condition, or the order of the threads where all are common."""
        wanted = self._search.wanted
        self._weigh()
        by_order = AccessPath("checkpoints", self._bound, {})
        lists = [AccessPath("list", self.count(condition), self._list(condition), condition) for condition in wanted.required]
        return min([by_order, *lists, *map(self._by_span, wanted.spans)], key=lambda lead: lead.cost)

    def count(self, condition: ValueIn | ValueRange) -> int:
        """How many postings satisfy a condition, up to the bound."""
        if condition not in self._counts:
            kind = "list" if isinstance(condition, ValueIn) else _kind_of(condition)
            parameters = self._list(condition) if isinstance(condition, ValueIn) else _span(condition)
            self._counts[condition] = self._count(sql.pages.count_of_postings, parameters, kind)
        return self._counts[condition]

    def _weigh(self) -> None:
        """Count what every condition of few values leads to, all in one statement."""
        few = [condition for condition in self._search.wanted.required if len(condition.values) <= _MOST_STREAMS]
        if not few:
            return
        postings = [(condition.key, value) for condition in few for value in condition.values]
        given = self._db.key_parameters(("key", "value"), postings)
        parameters = {**given, "bound": self._bound, "below": self._below, "skipped": _DEPTH}
        weights = {row[:2]: row[2:] for row in map(tuple, self._db.run(sql.pages.weights_of_postings, parameters))}
        for condition in few:
            found = [weights[condition.key, value] for value in condition.values]
            self._counts[condition] = min(sum(count for count, _ in found), self._bound)
            self._reach[condition] = max(reached or "" for _, reached in found)

    def _depth(self, lead: AccessPath) -> str:
        return self._reach[lead.covers] if lead.kind == "tags" and isinstance(lead.covers, ValueIn) else GREATEST_TEXT

    def condition(self, prefix: str, condition: ValueIn) -> dict[str, Any]:
        """The parameters of a probe."""
        if len(condition.values) == 1:
            return {f"{prefix}_key": condition.key, f"{prefix}_value": condition.values[0]}
        return self._list(condition, prefix)

    def _by_thread(self) -> AccessPath:
        cost = self._count(sql.pages.count_of_thread, {"thread_id": self._search.thread_id})
        return AccessPath("checkpoints", cost, {})

    def _by_time(self) -> list[AccessPath]:
        given = {name: moment for name in ("created_after", "created_before") if (moment := getattr(self._search, name)) is not None}
        if not given:
            return []
        return [AccessPath("time", self._count(sql.pages.count_of_time, given, frozenset(given)), {})]

    def _by_values(self, condition: ValueIn) -> list[AccessPath]:
        cost = self.count(condition)
        # A checkpoint with two of the values would come with both streams.
        if len(condition.values) == 1 or (len(condition.values) <= _MOST_STREAMS and is_single_valued(condition.key)):
            return [self._streams(condition, cost)]
        return [AccessPath("list", cost, self._list(condition), condition)]

    def _streams(self, condition: ValueIn, cost: int) -> AccessPath:
        values = {f"lead_value_{number}": value for number, value in enumerate(condition.values)}
        return AccessPath("tags", cost, {"lead_key": condition.key, **values}, condition, len(values))

    def _by_span(self, span: ValueRange) -> AccessPath:
        return AccessPath(_kind_of(span), self.count(span), _span(span), span)

    def _list(self, condition: ValueIn, prefix: str = "lead") -> dict[str, Any]:
        values = json.dumps(condition.values) if self._db.on_sqlite else list(condition.values)
        return {f"{prefix}_key": condition.key, f"{prefix}_values": values}

    def _count(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> int:
        return int(self._db.run(build, {**parameters, "bound": self._bound}, *args).scalar_one())


def _kind_of(span: ValueRange) -> str:
    return "span and below" if span.include_nested else "span"


def _span(span: ValueRange) -> dict[str, Any]:
    parameters = {"lead_key": span.key, "lead_low": span.low, "lead_high": span.high}
    # The character after the slash ends what begins with the key and a slash.
    return parameters | ({"lead_first_below": f"{span.key}/", "lead_after_below": f"{span.key}0"} if span.include_nested else {})
