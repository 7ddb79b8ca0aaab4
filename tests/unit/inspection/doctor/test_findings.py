"""How bad a value is."""

from __future__ import annotations

import pytest

from ckptstore.inspection.doctor.findings import Severity, severity_of, worst
from ckptstore.inspection.doctor.thresholds import Limits


@pytest.mark.parametrize(
    ("value", "severity"),
    [(None, "ok"), (0, "ok"), (0.99, "ok"), (1, "note"), (2, "care"), (2.9, "care"), (3, "urgent"), (float("inf"), "urgent")],
)
def test_a_limit_belongs_to_what_it_begins(value: float | None, severity: str) -> None:
    assert severity_of(value, Limits(1, 2, 3)) == severity


def test_a_limit_that_does_not_exist_is_never_reached() -> None:
    assert severity_of(1e300, Limits(1, 2)) is Severity.CARE


def test_the_worst() -> None:
    assert worst(Severity.NOTE, Severity.URGENT, Severity.CARE) is Severity.URGENT
    assert worst() is Severity.OK
