"""Each illness of the load, and where it leads."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.inspection.doctor.facts import Facts
from ckptstore.inspection.doctor.findings import Finding, Severity
from ckptstore.inspection.doctor.load_rules import load_findings, place_findings
from ckptstore.inspection.doctor.thresholds import GB
from tests.support.doctor import facts, ill, load, table


def place(of: Facts) -> Finding:
    (finding,) = place_findings(of)
    return finding


@pytest.mark.parametrize("on_sqlite", [True, False])
def test_a_store_that_is_well(on_sqlite: bool) -> None:
    well = facts(on_sqlite=on_sqlite)
    assert ill(load_findings(well)) == ill(place_findings(well)) == {}


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"lock_wait_share": 0.12}, "note"),
        ({"lock_wait_share": 0.3}, "care"),
        ({"lock_wait_share": 0.6}, "urgent"),
        ({"commit_p99_seconds": 0.3}, "care"),
        ({"queue_depth": 600}, "care"),
        ({"peak_writes_per_second": 1_100.0}, "care"),
        ({"lock_wait_share": None, "commit_p99_seconds": None}, "ok"),
    ],
)
def test_when_to_leave_sqlite(changes: dict[str, Any], severity: str) -> None:
    finding = place(facts(load=load(**changes)))
    assert finding.severity == severity
    assert ("ckptstore move" in finding.command) == (severity != "ok")
    assert all(name in finding.message for name in changes if severity != "ok" and name != "peak_writes_per_second")


def test_a_large_file_is_a_reason_without_any_load() -> None:
    assert place(facts(load=None, bytes=60 * GB)).severity is Severity.CARE
    assert place(facts(load=None)).severity is Severity.OK


def test_when_to_make_partitions_and_when_to_distribute() -> None:
    large = table(bytes=120 * GB)
    finding = place(facts(on_sqlite=False, bytes=200 * GB, tables=[table(), large]))
    assert (finding.severity, finding.command) == ("care", "ckptstore upgrade --partitions 16")
    assert place(facts(on_sqlite=False, bytes=200 * GB, tables=[table(bytes=120 * GB, partitions=16)])).severity is Severity.OK
    assert place(facts(on_sqlite=False, bytes=5_000 * GB, tables=[large])).severity is Severity.URGENT
    assert place(facts(on_sqlite=False, tables=[])).severity is Severity.OK


def test_how_far_the_ceiling_is() -> None:
    ceiling = next(iter(load_findings(facts(load=load(peak_writes_per_second=1_700.0)))))
    assert (ceiling.severity, "85% of the 2,000" in ceiling.message) == ("urgent", True)
    not_measured = next(iter(load_findings(facts(ceiling=None))))
    assert (not_measured.severity, not_measured.command) == ("ok", "ckptstore doctor --measure")


def test_no_load_errors_and_a_pool_without_a_free_connection() -> None:
    (none,) = load_findings(facts(load=None))
    assert (none.severity, "stored 2,000 writes per second" in none.message) == ("note", True)
    assert ill(load_findings(facts(load=load(errors=20_000)))) == {"errors": "care"}
    assert ill(load_findings(facts(load=load(pool_full_share=0.07)))) == {"pool": "care"}
