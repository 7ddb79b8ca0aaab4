"""Scans: which statements find the threads that a policy prunes, and how their pages continue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ckptstore import RetentionPolicy
from ckptstore.db import sql
from ckptstore.maintenance.prune_scans import ScannedThread, scans_for

DAY = timedelta(days=1)
SECOND = 1_000_000
NOW = 100 * SECOND


@pytest.mark.parametrize(
    ("policy", "statements"),
    [
        ({"max_age": DAY}, [sql.prune.old_checkpoints, sql.prune.threads_with_orphaned_writes]),
        ({"keep_last": 2}, [sql.prune.long_threads]),
        ({"max_age": DAY, "keep_last": 2}, [sql.prune.old_checkpoints, sql.prune.threads_with_orphaned_writes]),
        ({"thread_ttl": DAY}, [sql.prune.idle_threads, sql.prune.threads_with_orphaned_writes]),
        ({"thread_ttl": DAY, "keep_last": 2}, [sql.prune.long_threads, sql.prune.idle_threads, sql.prune.threads_with_orphaned_writes]),
    ],
)
def test_each_field_of_a_policy_adds_its_scan(policy: dict[str, Any], statements: list[Any]) -> None:
    assert [scan.build for scan in scans_for(RetentionPolicy(**policy), NOW)] == statements


def test_threads_with_too_few_checkpoints_are_skipped_and_each_is_listed_once() -> None:
    (scan, _orphans) = scans_for(RetentionPolicy(max_age=DAY, keep_last=2), NOW)
    page = [
        ScannedThread("a", 2, (7, "a", "", "1")),
        ScannedThread("b", 3, (8, "b", "", "1")),
        ScannedThread("b", 3, (9, "b", "", "2")),
    ]
    assert list(scan.threads_of(page)) == ["b"]


def test_a_page_continues_after_the_key_of_the_last_row() -> None:
    (scan, _orphans) = scans_for(RetentionPolicy(max_age=DAY), NOW)
    key = {"after_created_at": 7, "after_thread_id": "a", "after_checkpoint_ns": "ns", "after_checkpoint_id": "1"}
    page = [ScannedThread("other", 1, (6, "other", "", "0")), ScannedThread("a", 2, (7, "a", "ns", "1"))]
    assert scan.after(page) == key
    assert scan.after([]) is None


def test_orphaned_writes_are_those_past_the_longer_age() -> None:
    *_, orphans = scans_for(RetentionPolicy(max_age=timedelta(seconds=60), thread_ttl=timedelta(seconds=10)), NOW)
    assert orphans.finds_orphaned_writes
    assert orphans.parameters == {"cutoff": 40 * SECOND}
