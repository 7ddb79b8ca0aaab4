"""The options of one pass."""

from __future__ import annotations

from datetime import timedelta

from ckptstore.maintenance.gc_pass import PAGE_SIZE, GcPass


def test_the_period_of_grace_is_counted_back_from_now_in_microseconds() -> None:
    gc_pass = GcPass(now=5_000_000, grace=timedelta(seconds=2))
    assert gc_pass.parameters == {"now": 5_000_000, "before": 3_000_000, "page_size": PAGE_SIZE}
    assert not gc_pass.dry_run
