"""A search by the time of creation as one between two ids, see `ckptstore.db.id_times`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.id_times import end_of_ids, first_id
from ckptstore.reads.plans import CheckpointQuery, PagePlan
from ckptstore.tags.conditions import GREATEST_TEXT

# Each page looks at those that are off time one by one. Where there are more, a page is found as without ids.
_MAX_OFF_TIME = 100


class IdRange(NamedTuple):
    """The ids of the checkpoints that were created within a period and are on time."""

    first: str
    #: Greater than all of them.
    end: str
    #: Whether there are others, which are off time.
    off_time: bool

    def narrowed(self, plan: PagePlan, probe: Mapping[str, Any]) -> PagePlan:
        """The plan of the same page, whose source is read between these ids alone.

        Args:
            plan: the plan of a page from `checkpoints` or `tags`.
            probe: the parameters of a probe named `off_time`, for the condition on tags that its source satisfies.
        """
        before = plan.parameters.get("before", GREATEST_TEXT)
        parameters = plan.parameters | {"floor": self.first, "before": min(before, self.end)}
        given = plan.shape.given | {"floor", "before"}
        if self.off_time:
            parameters |= {"off_time_first": self.first, "off_time_end": self.end, "off_time_floor": "", "off_time_before": before, **probe}
            given |= {"off_time_before"} if "before" in plan.shape.given else set()
        return plan._replace(shape=plan.shape._replace(given=given, off_time=self.off_time), parameters=parameters)


def id_range(db: Db, query: CheckpointQuery) -> IdRange | None:
    """The ids for the period that a listing asks for; None where it asks for none, or ids would not make it shorter.

    Runs a small counting statement.
    """
    if not query.times or query.checkpoint_id is not None:
        return None
    parameters = {**query.times, "bound": _MAX_OFF_TIME}
    off_time = int(db.run(sql.pages.count_off_time, parameters, frozenset(query.times)).scalar_one())
    if off_time == _MAX_OFF_TIME:
        return None
    first = "" if query.created_after is None else first_id(query.created_after)
    end = GREATEST_TEXT if query.created_before is None else end_of_ids(query.created_before)
    return IdRange(first, end, off_time > 0)
