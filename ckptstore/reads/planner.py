"""Plan a page of a listing: which index drives the query, which tags are probed, and what only the metadata can decide.

Databases do not know which of several tags is rare, so the planner counts the candidates of each condition first, up to a bound:
exact counts of frequent tags would cost more than they save.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ClauseElement

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.reads.id_ranges import IdRange, id_range
from ckptstore.reads.plans import AccessPath, CheckpointQuery, PagePlan, ThreadPagePlan
from ckptstore.records import CheckpointKey
from ckptstore.tags.conditions import GREATEST_TEXT, ValueIn, ValueRange, keys_below
from ckptstore.tags.encoding import is_single_valued
from ckptstore.tags.filters import Filter

T = TypeVar("T")

# So many conditions of a kind each have a statement of their own.
_FEW_CONDITIONS = 4
# A condition with at least so many candidates counts as frequent.
_COUNT_BOUND = 1_000
# So many candidates are looked for between two ids, if a listing asks for a period: to see whether that is exact costs as much as a few.
_MANY_CANDIDATES = 100
# Collecting the threads of fewer checkpoints than this costs less than walking through all threads in order.
_THREADS_COUNT_BOUND = 5_000
# Tie-break between two frequent tags: drive the query from the one whose 1,000th-newest posting is oldest (it is less dense near the
# head of the listing).
_DENSITY_SAMPLE = 1_000
# The most values of one condition that are read as streams of their own and merged.
_MAX_STREAMS = 8
_RESTRICTIONS = ("thread_id", "checkpoint_ns", "checkpoint_id", "before", "created_after", "created_before")


def plan_page(db: Db, query: CheckpointQuery, after: CheckpointKey | None) -> PagePlan:
    """Plan a page of checkpoints; runs one or two small counting statements for each condition.

    Args:
        db: where to count.
        query: which checkpoints the listing asks for.
        after: the checkpoint after which the page starts.
    """
    if query.thread_id is None:
        # A search may have to read far back.
        db.expect_long()
    planner = _Planner(db, query, _COUNT_BOUND, after)
    restrictions = {name: value for name in _RESTRICTIONS if (value := getattr(query, name)) is not None}
    return _plan(planner, planner.choose_for_checkpoints(), query.metadata_filter, restrictions)


def plan_thread_page(db: Db, wanted: Filter) -> ThreadPagePlan:
    """Plan a page of threads, each of which has a checkpoint that matches a filter; runs counting statements like `plan_page`."""
    db.expect_long()
    planner = _Planner(db, CheckpointQuery(metadata_filter=wanted), _THREADS_COUNT_BOUND)
    path = planner.choose_for_threads()
    singles = [condition for condition in wanted.required if len(condition.values) == 1]
    several_frequent = path.kind == "checkpoints" and len(singles) > 1 and db.abilities.database.joins_threads
    meetings = _plan(planner, planner.sparsest(singles), wanted, {}) if several_frequent else None
    return ThreadPagePlan(_plan(planner, path, wanted, {}), meetings)


def _plan(planner: _Planner, path: AccessPath, wanted: Filter, restrictions: Mapping[str, Any]) -> PagePlan:
    # Rarest first: the first probe that fails ends the work for a candidate. Those for one value come before those for several, so that
    # only their numbers decide the statement's text.
    others = [condition for condition in wanted.required if condition is not path.condition]
    rarest_first = sorted(others, key=planner.count)
    singles, multiples = ([each for each in rarest_first if (len(each.values) > 1) is several] for several in (False, True))
    probed = [*_padded(singles), *_padded(multiples)]
    parameters = {**restrictions, **path.parameters}
    for number, condition in enumerate(probed):
        parameters |= planner.probe_parameters(f"has_{number}", condition)
    forbidden = _padded(wanted.forbidden)
    for number, posting in enumerate(forbidden):
        parameters |= {f"excluded_{number}_key": posting.key, f"excluded_{number}_value": posting.value}
    several = tuple(len(condition.values) > 1 for condition in probed)
    shape = sql.pages.Shape(path.kind, path.streams, frozenset(restrictions), several, len(forbidden))
    unchecked = [value_range for value_range in wanted.ranges if value_range is not path.condition]
    plan = PagePlan(shape, parameters, wanted.exact and not unchecked)
    if path.kind in ("checkpoints", "tags") and path.cost >= _MANY_CANDIDATES and planner.ids is not None:
        probe = planner.probe_parameters("off_time", path.condition) if isinstance(path.condition, ValueIn) else {}
        plan = planner.ids.narrowed(plan, probe)
    is_frequent = path.cost >= planner.bound
    return plan._replace(first_floor=planner.sampled_id(path)) if is_frequent and plan.can_skip else plan


def _padded(conditions: Sequence[T]) -> Sequence[T]:
    """Conditions, of many the last one repeated, so that few numbers of them occur.

    Each number is a statement of its own, which takes up to 100 KB of the cache of each connection.
    """
    if len(conditions) <= _FEW_CONDITIONS:
        return conditions
    missing = (1 << (len(conditions) - 1).bit_length()) - len(conditions)
    return [*conditions, *[conditions[-1]] * missing]


class _PostingWeight(NamedTuple):
    """A row of `ckptstore.db.sql.postings.weights_of_postings`."""

    key: str
    value: str
    checkpoint_count: int
    #: The id of the posting's checkpoint after `_DENSITY_SAMPLE` newer ones; None where it has fewer.
    sampled_id: str | None


class _Planner:
    """Counts the candidates of conditions, each condition at most once."""

    def __init__(self, db: Db, query: CheckpointQuery, bound: int, after: CheckpointKey | None = None) -> None:
        self._db = db
        self._query = query
        self._filter = query.metadata_filter
        #: A condition with so many candidates counts as frequent.
        self.bound = bound
        self._after = after
        self._counts: dict[ValueIn | ValueRange, int] = {}
        #: For each condition the greatest `sampled_id` of its postings.
        self._sampled_ids: dict[ValueIn, str] = {}

    @cached_property
    def ids(self) -> IdRange | None:
        """Between which ids a path with many candidates is read."""
        return id_range(self._db, self._query)

    @property
    def _below(self) -> str:
        """All checkpoints of the page have smaller ids, or are off time."""
        bounds = (self._query.before, self._after and self._after.checkpoint_id, self.ids and self.ids.end)
        return min(bound or GREATEST_TEXT for bound in bounds)

    def choose_for_checkpoints(self) -> AccessPath:
        """The access path with the fewest candidates."""
        query, required = self._query, self._filter.required
        whole_table = AccessPath("checkpoints", self.bound + 1, {})
        nothing_else = not (required or self._filter.ranges or query.times)
        if query.checkpoint_id is not None or nothing_else:
            return whole_table
        single_posting = len(required) == 1 and len(required[0].values) == 1 and not self._filter.ranges
        if single_posting and query.thread_id is None and not query.times:
            # The best path, however frequent the posting is: its stream has the order of the listing.
            return self._streams(required[0], 0)
        self._count_required()
        paths = [self._by_thread(query.thread_id)] if query.thread_id is not None else [*self._by_time(), whole_table]
        paths += map(self._by_values, required)
        paths += map(self._by_range, self._filter.ranges)
        # The other kinds collect and sort all candidates, which pays only for few.
        paths = [path for path in paths if path.kind in ("checkpoints", "tags") or path.cost < self.bound]
        return min(paths, key=lambda path: (path.cost, self.sampled_id(path)))

    def choose_for_threads(self) -> AccessPath:
        """The rarest condition, or the order of the threads where all conditions are frequent."""
        self._count_required()
        in_order = AccessPath("checkpoints", self.bound, {})
        return min(
            [in_order, *map(self._by_list, self._filter.required), *map(self._by_range, self._filter.ranges)], key=lambda path: path.cost
        )

    def sparsest(self, conditions: Sequence[ValueIn]) -> AccessPath:
        """The postings of the condition whose newest ones reach furthest back."""
        return min([self._streams(condition, self.count(condition)) for condition in conditions], key=self.sampled_id)

    def count(self, condition: ValueIn | ValueRange) -> int:
        """How many postings satisfy a condition, up to the bound."""
        if condition not in self._counts:
            if isinstance(condition, ValueIn):
                kind, parameters = "list", self._list_parameters("source", condition)
            else:
                kind, parameters = _kind_of_range(condition), _range_parameters(condition)
            self._counts[condition] = self._run_count(sql.postings.count_of_postings, parameters, kind)
        return self._counts[condition]

    def probe_parameters(self, prefix: str, condition: ValueIn) -> dict[str, Any]:
        """The parameters of the probe for a condition."""
        if len(condition.values) == 1:
            return {f"{prefix}_key": condition.key, f"{prefix}_value": condition.values[0]}
        return self._list_parameters(prefix, condition)

    def _count_required(self) -> None:
        """Count the candidates of every condition with few values, all in one statement."""
        conditions = [condition for condition in self._filter.required if len(condition.values) <= _MAX_STREAMS]
        if not conditions or not self._db.abilities.database.joins_threads:
            # Each is counted where it is asked for; and no two tags are followed to where they meet, across shards.
            return
        postings = [(condition.key, value) for condition in conditions for value in condition.values]
        keys = self._db.key_parameters(("key", "value"), postings)
        parameters = {**keys, "bound": self.bound, "below": self._below, "skipped": _DENSITY_SAMPLE}
        rows = [_PostingWeight(*row) for row in self._db.run(sql.postings.weights_of_postings, parameters)]
        weights = {(row.key, row.value): row for row in rows}
        for condition in conditions:
            found = [weights[condition.key, value] for value in condition.values]
            self._counts[condition] = min(sum(weight.checkpoint_count for weight in found), self.bound)
            self._sampled_ids[condition] = max(weight.sampled_id or "" for weight in found)

    def sampled_id(self, path: AccessPath) -> str:
        """How far back the newest postings of a path reach; nothing else reaches back far enough to be compared."""
        return self._sampled_ids.get(path.condition, "") if path.kind == "tags" and isinstance(path.condition, ValueIn) else GREATEST_TEXT

    def _by_thread(self, thread_id: str) -> AccessPath:
        return AccessPath("checkpoints", self._run_count(sql.pages.count_of_thread, {"thread_id": thread_id}), {})

    def _by_time(self) -> list[AccessPath]:
        times = self._query.times
        if not times:
            return []
        return [AccessPath("time", self._run_count(sql.pages.count_of_time, times, frozenset(times)), {})]

    def _by_values(self, condition: ValueIn) -> AccessPath:
        # Several streams only where no checkpoint can have two of the values: it would be in both streams.
        if len(condition.values) == 1 or (len(condition.values) <= _MAX_STREAMS and is_single_valued(condition.key)):
            return self._streams(condition, self.count(condition))
        return self._by_list(condition)

    def _by_list(self, condition: ValueIn) -> AccessPath:
        return AccessPath("list", self.count(condition), self._list_parameters("source", condition), condition)

    def _streams(self, condition: ValueIn, cost: int) -> AccessPath:
        values = {f"source_value_{number}": value for number, value in enumerate(condition.values)}
        return AccessPath("tags", cost, {"source_key": condition.key, **values}, condition, len(values))

    def _by_range(self, condition: ValueRange) -> AccessPath:
        return AccessPath(_kind_of_range(condition), self.count(condition), _range_parameters(condition), condition)

    def _list_parameters(self, prefix: str, condition: ValueIn) -> dict[str, Any]:
        values = json.dumps(condition.values) if self._db.on_sqlite else list(condition.values)
        return {f"{prefix}_key": condition.key, f"{prefix}_values": values}

    def _run_count(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> int:
        return int(self._db.run(build, {**parameters, "bound": self.bound}, *args).scalar_one())


def _kind_of_range(condition: ValueRange) -> str:
    return "span and below" if condition.include_nested else "span"


def _range_parameters(condition: ValueRange) -> dict[str, Any]:
    parameters = {"source_key": condition.key, "source_low": condition.low, "source_high": condition.high}
    if condition.include_nested:
        parameters |= dict(zip(("source_first_below", "source_after_below"), keys_below(condition.key), strict=True))
    return parameters
