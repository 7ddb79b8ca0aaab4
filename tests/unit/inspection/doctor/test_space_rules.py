"""Each illness of what a database holds."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.inspection.doctor.facts import Facts, UnsearchedKey, WalFacts
from ckptstore.inspection.doctor.findings import Severity
from ckptstore.inspection.doctor.space_rules import retention_findings, space_findings, tag_findings
from ckptstore.inspection.doctor.thresholds import MB
from tests.support.doctor import facts, ill, load, retention, table


def on_server(**changes: Any) -> Facts:
    return facts(on_sqlite=False, tables=[table(name="ckpt_thread"), table(**changes)])


@pytest.mark.parametrize("on_sqlite", [True, False])
def test_a_store_that_is_well(on_sqlite: bool) -> None:
    well = facts(on_sqlite=on_sqlite)
    assert ill([*space_findings(well), *retention_findings(well), *tag_findings(well)]) == {}


@pytest.mark.parametrize(
    ("of", "name", "severity"),
    [
        (facts(free_bytes=90 * MB), "vacuum", "care"),
        (facts(bytes=20 * MB, free_bytes=10 * MB), None, None),
        (facts(wal=WalFacts(bytes=2_000 * MB, pinned_bytes=0)), None, None),
        (facts(wal=WalFacts(bytes=100 * MB, pinned_bytes=80 * MB)), "wal", "care"),
        (facts(wal=WalFacts(bytes=2_000 * MB, pinned_bytes=2_000 * MB)), "wal", "urgent"),
        (on_server(dead_rows=20_000), "dead rows", "care"),
        (on_server(live_rows=100, dead_rows=300), None, None),
        (on_server(is_analysed=False), "statistics", "care"),
        (on_server(is_analysed=False, live_rows=10), None, None),
        (on_server(changed_rows=60_000), "statistics", "care"),
        (on_server(changed_rows=30_000), "statistics", "note"),
        (facts(missing_indexes=["CREATE INDEX ckpt_x ON ckpt_y (z)"]), "index", "urgent"),
        (facts(on_sqlite=False, invalid_indexes=["ckpt_object_by_digest"]), "index", "urgent"),
    ],
)
def test_one_illness(of: Facts, name: str | None, severity: str | None) -> None:
    assert ill(space_findings(of)) == ({} if name is None else {name: severity})


def test_the_table_that_is_ill_is_named_and_what_to_run() -> None:
    dead = {finding.name: finding for finding in space_findings(on_server(dead_rows=50_000))}["dead rows"]
    assert ("50% of the rows of ckpt_checkpoint" in dead.message, dead.command) == (True, "ckptstore vacuum")
    missing = {finding.name: finding for finding in space_findings(facts(missing_indexes=["CREATE INDEX ckpt_x ON ckpt_y (z)"]))}["index"]
    assert (missing.message, missing.command) == ("the index ckpt_x is missing", "CREATE INDEX ckpt_x ON ckpt_y (z)")


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"overdue_checkpoints": 1_000}, "ok"),
        ({"overdue_checkpoints": 5_000}, "care"),
        ({"overdue_checkpoints": 20_000}, "urgent"),
        ({"overdue_checkpoints": 20_000, "checkpoints_per_day": 0.0}, "ok"),
        ({"hours_since_run": 80.0}, "care"),
        ({"hours_since_run": None}, "note"),
        ({"hours_since_run": None, "checkpoints_per_day": 0.0}, "ok"),
    ],
)
def test_retention_that_does_not_keep_up(changes: dict[str, Any], severity: str) -> None:
    (finding,) = retention_findings(facts(retention=retention(**changes)))
    assert finding.severity == severity


def test_tags_that_nobody_searches() -> None:
    keys = [UnsearchedKey(key="trace_id", share=0.3), UnsearchedKey(key="build", share=0.1)]
    (finding,) = tag_findings(facts(unsearched=keys))
    assert (finding.severity, finding.evidence) == ("care", {"trace_id": 0.3, "build": 0.1})
    assert finding.command.startswith("ckptstore tags rebuild --exclude 'trace_id' --exclude 'build'")
    for too_short in (load(days=3.0), None):
        (finding,) = tag_findings(facts(unsearched=keys, load=too_short))
        assert finding.severity is Severity.OK
