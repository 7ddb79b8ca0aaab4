"""Deleting threads at the target of a transfer that were deleted at its source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from ckptstore.db.connection import Db
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.reindex import next_threads
from ckptstore.runtime.steps import drive_async
from ckptstore.store.store import Store
from ckptstore.transfer.own_source import rows_of
from ckptstore.transfer.parcel import Choice, ThreadSource, stamp_of
from ckptstore.transfer.remembered import forget, remembered


async def delete_gone(source: ThreadSource, target: Store, choice: Choice) -> int:
    """Delete the threads that an earlier run brought, that nobody changed at the target since, and that the source does not have any more.

    Args:
        source: where threads come from.
        target: where they went.
        choice: if it names threads, only those are looked at.

    Returns:
        How many threads were deleted.
    """
    deleted = 0
    after = ""
    while page := await target.objects.read(partial(next_threads, after=after)):
        after = page[-1]
        wanted = page if choice.thread_ids is None else [each for each in page if each in choice.thread_ids]
        brought = await target.objects.read(partial(_brought, thread_ids=wanted, origin=source.origin))
        for thread_id in await _gone(source, brought):
            await drive_async(target.delete_thread(thread_id))
            await target.objects.write(partial(forget, thread_id=thread_id))
            deleted += 1
    return deleted


def require_whole_choice(choice: Choice) -> None:
    """Return if what the source lacks can be told from what was not chosen.

    Raises:
        InvalidConfig: it can't.
    """
    if choice.wanted is not None or choice.since is not None or choice.newest is not None:
        raise InvalidConfig("mirror deletes what the source does not have: it can't be combined with filter, since or newest")


def _brought(db: Db, thread_ids: Sequence[str], origin: str) -> list[str]:
    rows = rows_of(db, thread_ids)
    return [each for each, found in remembered(db, rows).items() if found.origin == origin and found.target == stamp_of(rows[each])]


async def _gone(source: ThreadSource, thread_ids: Sequence[str]) -> list[str]:
    left = dict.fromkeys(thread_ids)
    if left:
        async with aclosing(source.threads(Choice(thread_ids=list(left)))) as pages:
            async for page in pages:
                for thread in page:
                    left.pop(thread.thread_id, None)
    return list(left)
