"""All findings, in their order."""

from __future__ import annotations

import pytest

from ckptstore.inspection.doctor.diagnosis import diagnose
from ckptstore.inspection.doctor.findings import Severity
from tests.support.doctor import facts, ill, retention


@pytest.mark.parametrize("on_sqlite", [True, False])
def test_a_store_that_is_well_has_a_finding_for_everything(on_sqlite: bool) -> None:
    found = diagnose(facts(on_sqlite=on_sqlite))
    assert ill(found) == {}
    of_one = {"vacuum", "wal"} if on_sqlite else {"dead rows", "statistics"}
    assert {finding.name for finding in found} == {"database", "ceiling", "errors", "pool", "retention", "index", "tags"} | of_one


def test_the_worst_comes_first() -> None:
    found = diagnose(facts(missing_indexes=["CREATE INDEX ckpt_x ON ckpt_y (z)"], retention=retention(hours_since_run=80.0)))
    assert [finding.severity for finding in found][:3] == [Severity.URGENT, Severity.CARE, Severity.OK]
