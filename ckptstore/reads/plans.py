"""What a listing asks for, and the plan of a page of it: a statement with its parameters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.records import CheckpointKey
from ckptstore.tags.conditions import ValueIn, ValueRange
from ckptstore.tags.filters import Filter


@dataclass(frozen=True, slots=True)
class CheckpointQuery:
    """Which checkpoints a listing asks for; None means no restriction."""

    thread_id: str | None = None
    checkpoint_ns: str | None = None
    checkpoint_id: str | None = None
    #: Only checkpoints with a smaller id.
    before: str | None = None
    #: Only checkpoints created at or after this time (microseconds since 1970, UTC).
    created_after: int | None = None
    #: Only checkpoints created before this time.
    created_before: int | None = None
    metadata_filter: Filter = field(default_factory=Filter)

    @property
    def times(self) -> dict[str, int]:
        """The bounds of the time of creation that are given, by name."""
        bounds = {"created_after": self.created_after, "created_before": self.created_before}
        return {name: time for name, time in bounds.items() if time is not None}

    @property
    def matches_nothing(self) -> bool:
        """Whether no checkpoint can match, because a condition allows no value."""
        return self.metadata_filter.matches_nothing


class AccessPath(NamedTuple):
    """An index that yields candidates for a page, and about how many candidates it yields."""

    #: The `source` of `ckptstore.db.sql.pages.Shape`.
    kind: str
    cost: int
    parameters: dict[str, Any]
    #: The condition that every candidate satisfies.
    condition: ValueIn | ValueRange | None = None
    streams: int = 1


class PagePlan(NamedTuple):
    """The statement of a page, its parameters, and whether its result needs no comparison with the metadata."""

    shape: sql.pages.Shape
    parameters: dict[str, Any]
    exact: bool
    #: If the source and the first probe are single postings, and both are frequent, perhaps without having a checkpoint in common: the id
    #: down to which the page is searched at first, see `ckptstore.reads.meetings`. Else empty.
    first_floor: str = ""

    @property
    def can_skip(self) -> bool:
        """Whether `find_meetings` can search for the plan's checkpoints."""
        shape = self.shape
        return (shape.source, shape.streams) == ("tags", 1) and shape.required[:1] == (False,) and "thread_id" not in shape.given

    @property
    def end(self) -> str:
        """No checkpoint of the listing has a smaller id."""
        return "" if self.shape.off_time else str(self.parameters.get("floor", ""))

    def down_to(self, checkpoint_id: str) -> PagePlan:
        """The plan of the part of the page that has no smaller id."""
        shape = self.shape._replace(given=self.shape.given | {"floor"})
        floors = {"floor": max(checkpoint_id, self.parameters.get("floor", "")), "off_time_floor": checkpoint_id}
        return self._replace(shape=shape, parameters=self.parameters | floors)

    def after(self, last: CheckpointKey | None) -> PagePlan:
        """The plan of the page that follows a checkpoint."""
        if last is None:
            return self
        parameters = self.parameters | {f"after_{name}": value for name, value in last._asdict().items()}
        given = self.shape.given | {"after"}
        if last.checkpoint_id < parameters.get("before", ""):
            # All checkpoints after the last one are before `before`, and SQLite would begin at `before`.
            given -= {"before"}
        return self._replace(shape=self.shape._replace(given=given), parameters=parameters)


class ThreadPagePlan(NamedTuple):
    """How to find a page of threads."""

    page: PagePlan
    #: Where `page` walks through all threads and probes frequent tags: how to find the checkpoints that have two of these.
    meetings: PagePlan | None
