"""Reports: sums of deleted rows, and when a verification is fine."""

from __future__ import annotations

import json

import pytest

from ckptstore.maintenance.reports import DeletedRows, PruneReport, VerifyReport


def test_deleted_rows_add_up_field_by_field() -> None:
    one = DeletedRows(checkpoints=1, bytes=10, object_keys=("a",))
    other = DeletedRows(deleted_threads=1, checkpoints=2, writes=3, bytes=5, object_keys=("b", "a"))
    assert one + other == DeletedRows(deleted_threads=1, checkpoints=3, writes=3, bytes=15, object_keys=("a", "b", "a"))


def test_prune_reports_are_equal_if_they_count_the_same() -> None:
    assert PruneReport(checkpoints=1, dry_run=True, seconds=1.0) == PruneReport(checkpoints=1)
    assert PruneReport(checkpoints=1) != PruneReport(checkpoints=1, stopped=True)
    assert json.loads(json.dumps(PruneReport(threads=2).to_dict()))["threads"] == 2


@pytest.mark.parametrize(
    ("report", "ok"),
    [
        (VerifyReport(), True),
        (VerifyReport(unregistered_objects=["ab/key"]), True),
        (VerifyReport(missing_objects=["ab/key"]), False),
        (VerifyReport(missing_segments=[("t", "digest")]), False),
        (VerifyReport(corrupt=["digest"]), False),
        (VerifyReport(broken_references=[("t", "digest")]), False),
    ],
)
def test_a_verification_fails_for_what_is_missing_or_corrupt(report: VerifyReport, ok: bool) -> None:
    assert report.ok == ok
