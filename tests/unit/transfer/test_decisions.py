"""What happens to a thread, by what the target has and remembers of it."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.transfer.decisions import Comparison, Decision, compare, decide
from ckptstore.transfer.parcel import Parcel, SourceThread, TargetThread
from ckptstore.transfer.remembered import Remembered

THREAD = SourceThread("t", [1, 2, 3, 4], 4, 2, 3)
ROW = {"generation": 9, "checkpoint_count": 2, "size": 3, "updated_at": 4}
STAMP = [9, 2, 3, 4]


@pytest.mark.parametrize(
    ("row", "known", "decision"),
    [
        (None, None, Decision.NEW),
        (None, Remembered([1, 2, 3, 4], STAMP, "a", "here"), Decision.NEW),
        (ROW, None, Decision.COMPARE),
        (ROW, Remembered([1, 2, 3, 4], STAMP, "a", "here"), Decision.UNCHANGED),
        (ROW, Remembered([1, 1, 3, 4], STAMP, "a", "here"), Decision.UPDATE),
        (ROW, Remembered(None, STAMP, "a", "here"), Decision.UPDATE),
        (ROW, Remembered([1, 2, 3, 4], STAMP, "a", "elsewhere"), Decision.COMPARE),
        (ROW, Remembered([1, 2, 3, 4], [9, 1, 3, 4], "a", "here"), Decision.COMPARE),
    ],
)
def test_decisions(row: Any, known: Remembered | None, decision: Decision) -> None:
    assert decide(THREAD, "here", row, known) is decision


@pytest.mark.parametrize(
    ("target", "source", "read", "comparison"),
    [
        ({1, 2}, {1, 2}, 0, Comparison.SAME),
        ({1}, {1, 2}, 1, Comparison.BEHIND),
        ({1, 3}, {1, 2}, 1, Comparison.DIFFERENT),
    ],
)
def test_comparisons(target: set[int], source: set[int], read: int, comparison: Comparison) -> None:
    existing = TargetThread(STAMP, frozenset(target), frozenset(), mirror=False)
    parcel = Parcel([THREAD], existing=existing, seen=source, rows={"ckpt_write": 1} if read else {})
    assert compare(parcel) is comparison
