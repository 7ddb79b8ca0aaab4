"""Copying a part of a thread to another thread id of the same store: its newest checkpoints, or one of them."""

from __future__ import annotations

from collections.abc import Callable

from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, TAG, WRITE, CheckpointCells, Row
from ckptstore.errors import InvalidConfig, ThreadExists
from ckptstore.maintenance.copy import with_thread_named
from ckptstore.maintenance.prune_plan import Rule
from ckptstore.reads.rows import parsed_metadata
from ckptstore.records import StateFormat
from ckptstore.runtime.random_ids import random_text
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.transfer.copying import target_keys
from ckptstore.transfer.own_source import OwnSource
from ckptstore.transfer.parcel import Choice, Parcel, SourceThread, ThreadGone
from ckptstore.transfer.remembered import origin_of
from ckptstore.transfer.row_hash import payload_bytes
from ckptstore.transfer.writing import Attempt, StoreParcel, ThreadChanged
from ckptstore.values.checksums import copy_mask
from ckptstore.writes.rows import tag_rows


def copy_part(store: Store, source: str, target: str, rule: Rule, state_format: StateFormat, clock: Callable[[], int]) -> Steps[int]:
    """Copy what a rule keeps of a thread, and what that is rebuilt from, in one transaction. Objects are shared.

    Args:
        store: of both threads.
        source: the id of the thread.
        target: the id of the copy.
        rule: what is copied.
        state_format: what the checkpoints mean.
        clock: gives microseconds since 1970, UTC.

    Returns:
        How many checkpoints were copied.

    Raises:
        InvalidConfig: there is nothing of the kind in the thread.
        ThreadExists: there is a thread with the id of the copy.
    """
    yield from store.finish_deletions(target)
    tag_keys = yield from target_keys(store)
    reading = OwnSource(store, Choice(), tag_keys, state_format, rule)
    try:
        parcel: Parcel = yield store.objects.run(reading.parcel([SourceThread(source, [], 0, 0, 0)], None))
    except ThreadGone as exc:
        raise InvalidConfig(f"there is no thread {source!r} to copy a part of") from exc
    with parcel.spool, renamed(parcel, target, tag_keys, state_format).spool as spool:
        if not parcel.visible:
            raise InvalidConfig(
                f"thread {source!r} has no such checkpoint in its root namespace to copy; list them: ckptstore threads show"
            )
        made = Parcel([SourceThread(target, [], 0, 0, 0)], spool=spool, object_keys=parcel.object_keys)
        made.times, made.counters = {target: parcel.times[source]}, {target: parcel.counters[source]}
        attempt = Attempt(random_text(12), origin_of("part"), frozenset(), clock())
        try:
            yield from store.run_concurrently(StoreParcel(made, attempt), source, target)
        except ThreadChanged as exc:
            raise ThreadExists("a part of a thread is copied to a new thread id, and there is a thread with this one") from exc
    return made.counters[target][0]


def renamed(parcel: Parcel, target: str, tag_keys: TagKeys, state_format: StateFormat) -> Parcel:
    """The rows of a parcel of one thread as those of another thread."""
    (thread,) = parcel.threads
    made = Parcel([thread._replace(thread_id=target)])
    mask = copy_mask(thread.thread_id, target)
    for kind, rows in parcel.spool.pages():
        if kind == TAG.name:
            # Made anew below: the thread may be one of them.
            continue
        for row in rows:
            new = (target, *row[1:])
            if kind in (CHANNEL.name, WRITE.name, CHECKPOINT.name) and row[-1] is not None:
                new = (*new[:-1], row[-1] ^ mask)
            if kind == CHECKPOINT.name:
                new = with_thread_named(new, thread.thread_id, target, state_format)
                _add_tags(made, new, tag_keys, state_format)
            made.spool.add(kind, new, payload_bytes(kind, new))
    made.spool.end()
    return made


def _add_tags(made: Parcel, row: Row, tag_keys: TagKeys, state_format: StateFormat) -> None:
    cells = CheckpointCells(*row)
    if cells.hidden:
        return
    found = postings(parsed_metadata(cells.key, cells.metadata), tag_keys, state_format.unindexed_when_empty)
    for tag in tag_rows(cells.key, found):
        made.spool.add(TAG.name, tag, 0)
