"""The plan of a page: what it is restricted to."""

from __future__ import annotations

from ckptstore.db.sql.pages import Shape
from ckptstore.reads.plans import PagePlan
from ckptstore.records import CheckpointKey

PLAN = PagePlan(Shape(given=frozenset({"before", "floor"})), {"before": "5", "floor": "2"}, exact=True)


def test_a_page_that_continues_has_one_upper_bound() -> None:
    within, above = (PLAN.after(CheckpointKey("t", "", checkpoint_id)) for checkpoint_id in ("4", "7"))
    assert within.shape.given == {"after", "floor"}
    # The last one was off time: the others are all below.
    assert above.shape.given == {"after", "before", "floor"}
    assert PLAN.after(None) is PLAN


def test_the_greater_one_of_two_lower_bounds_holds() -> None:
    assert [PLAN.down_to(checkpoint_id).parameters["floor"] for checkpoint_id in ("1", "3")] == ["2", "3"]


def test_what_is_off_time_may_be_below_the_lower_bound() -> None:
    assert (PLAN.end, PLAN._replace(shape=PLAN.shape._replace(off_time=True)).end) == ("2", "")
