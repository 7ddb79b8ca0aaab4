"""A dry run counts in a reader's snapshot what a run deletes."""

from __future__ import annotations

from ckptstore import RetentionPolicy, SQLAlchemySaver
from tests.support.large_thread import CHECKPOINTS, fill, on_both, transactions
from tests.support.rows import rows


@on_both
async def test_a_dry_run_takes_no_lock_and_counts_what_a_run_deletes(saver: SQLAlchemySaver) -> None:
    await fill(saver)
    before = rows(saver)
    with transactions() as changed:
        tried = await saver.aprune_by(RetentionPolicy(keep_last=1), dry_run=True)
    assert changed == []
    assert rows(saver) == before
    assert (tried.checkpoints, tried.segments) >= (CHECKPOINTS - 1, 5 * (CHECKPOINTS - 1))
    assert await saver.aprune_by(RetentionPolicy(keep_last=1)) == tried
