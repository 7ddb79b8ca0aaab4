"""What a policy would delete."""

from __future__ import annotations

from itertools import count

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.inspection.retention import dry_run
from ckptstore.runtime.steps import drive_async
from tests.support.build import chain

POLICY = RetentionPolicy(keep_last=1)


async def test_it_is_counted_and_kept(saver: SQLAlchemySaver) -> None:
    for thread_id in ("a", "b"):
        await chain(saver, thread_id, 5)
    report = await drive_async(dry_run(saver.store, POLICY, 2**50, 60))
    assert (report.checkpoints, report.threads, report.stopped, report.dry_run) == (8, 2, False, True)
    assert len(await saver.alist(None)) == 10


async def test_it_ends_when_its_time_is_over(saver: SQLAlchemySaver) -> None:
    for thread_id in ("a", "b"):
        await chain(saver, thread_id, 5)
    clock = count(0, 100)
    report = await drive_async(dry_run(saver.store, POLICY, 2**50, 60, lambda: float(next(clock))))
    assert (report.checkpoints, report.stopped) == (0, True)
