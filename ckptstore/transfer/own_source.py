"""One of our own stores as the source of a transfer: its rows are taken over as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence, Set
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Table

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.sql.tables import CHANNEL, CHECKPOINT, SEGMENT, TAG, THREAD, WRITE, CheckpointCells, Row, SegmentCells
from ckptstore.db.url import is_memory
from ckptstore.maintenance.delete import LargeThread, unfinished_deletions
from ckptstore.maintenance.prune_nodes import thread_view
from ckptstore.maintenance.prune_plan import Rule
from ckptstore.reads.rows import layout_of, parsed_metadata
from ckptstore.reads.threads import load_threads
from ckptstore.records import LoadedSegment, StateFormat, ThreadInfo
from ckptstore.runtime.steps import drive_async
from ckptstore.runtime.wakeups import settled
from ckptstore.store.store import Store
from ckptstore.tags.encoding import postings
from ckptstore.tags.keys import TagKeys
from ckptstore.transfer.half_deleted import gone_threads, select_left
from ckptstore.transfer.parcel import Choice, Parcel, SourceThread, TargetThread, ThreadGone, ThreadTimes, stamp_of
from ckptstore.transfer.reading import Marks, fit_together, read_thread, read_together
from ckptstore.transfer.remembered import origin_of, origin_of_database
from ckptstore.transfer.row_hash import checked, hash_of_marks, hidden_row, payload_bytes, row_hash
from ckptstore.transfer.selection import Everything, Selection, newest_rule, select
from ckptstore.values.chunking import layout_digests, layout_references
from ckptstore.values.digests import is_list
from ckptstore.writes.rows import tag_rows

T = TypeVar("T")

_THREADS_PER_PAGE = 500
_NAMES = [column.name for column in THREAD.c]


class OwnSource:
    """Reads threads of a store.

    Args:
        store: the source.
        choice: what is transferred of each thread.
        tag_keys: which metadata keys are in the target's index.
        state_format: what the checkpoints' metadata means.
        rule: what is transferred of each thread, if the choice does not say it; None for everything.
    """

    def __init__(self, store: Store, choice: Choice, tag_keys: TagKeys, state_format: StateFormat, rule: Rule | None = None) -> None:
        url = store.runner.url
        self.origin = (
            origin_of("memory", str(id(store.runner))) if is_memory(url) else origin_of_database(url, store.runner.statements.schema)
        )
        self._store = store
        # Times don't count for it.
        self._rule = rule if choice.newest is None else newest_rule(choice.newest, 0)
        self._tag_keys = tag_keys
        self._state_format = state_format

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `ThreadSource.threads`."""
        if choice.thread_ids is not None:
            wanted = sorted(dict.fromkeys(choice.thread_ids))
            for start in range(0, len(wanted), _THREADS_PER_PAGE):
                yield _since(await self._named(wanted[start : start + _THREADS_PER_PAGE]), choice.since)
        elif choice.wanted is not None:
            async for ids in self._matching(choice):
                yield _since(await self._named(ids), choice.since)
        else:
            after: str | None = ""
            while after is not None:
                page, after = await self._page(after, choice.since)
                yield page

    async def _page(self, after: str, since: int | None) -> tuple[list[SourceThread], str | None]:
        """A page of threads, and the id after which the next one begins; None after the last."""
        parameters = {"after": after, "since": since, "page_size": _THREADS_PER_PAGE}
        given = frozenset(("since",) if since is not None else ())
        parameters = {name: value for name, value in parameters.items() if value is not None}
        return await self._read(lambda db: _page_of(db, db.scan(sql.transfer.page_of_threads, parameters, given)))

    async def _named(self, ids: Sequence[str]) -> list[SourceThread]:
        return await self._read(partial(_named_threads, thread_ids=ids))

    async def _matching(self, choice: Choice) -> AsyncGenerator[list[str], None]:
        assert choice.wanted is not None
        wanted = await drive_async(self._store.resolve_filter(choice.wanted))
        after: ThreadInfo | None = None
        more = True
        while more:
            page = await self._read(partial(load_threads, wanted=wanted, order_by="thread_id", after=after, size=_THREADS_PER_PAGE))
            yield [thread.thread_id for thread in page.threads]
            after, more = page.last, page.more

    async def parcel(self, threads: Sequence[SourceThread], existing: TargetThread | None) -> Parcel:
        """See `ThreadSource.parcel`."""
        return await self._read(partial(self._fill, threads=threads, existing=existing))

    async def _read(self, work: Work[T]) -> T:
        return await settled(self._store.runner.read(work))

    # --- on the source's database

    def _fill(self, db: Db, threads: Sequence[SourceThread], existing: TargetThread | None) -> Parcel:
        db.expect_long()
        parcel = Parcel(threads, existing=existing)
        try:
            with db.snapshot():
                self._read_rows(db, parcel)
            parcel.spool.end()
        except BaseException:
            parcel.spool.close()
            raise
        return parcel

    def _read_rows(self, db: Db, parcel: Parcel) -> None:
        ids = [thread.thread_id for thread in parcel.threads]
        found = rows_of(db, ids)
        half_deleted = unfinished_deletions(db, found)
        for each in gone_threads(db, half_deleted) if half_deleted else ():
            del found[each]
        if len(ids) == 1 and not found:
            raise ThreadGone(ids[0])
        # As of this snapshot; a thread that was deleted since is left out.
        parcel.threads = [_thread(found[each]) for each in ids if each in found]
        parcel.times = {each: ThreadTimes(row["created_at"], row["updated_at"]) for each, row in found.items()}
        ids = [each for each in ids if each in found]
        if parcel.existing is None and self._rule is None and not half_deleted and fit_together(db, ids):
            read_together(db, ids, partial(self._take, parcel, Everything()))
            return
        for each in ids:
            chosen = self._chosen(db, each, parcel.times[each].updated_at, half_deleted.get(each))
            wants, take = partial(_wants, parcel, each, chosen), partial(self._take, parcel, chosen)
            *naming, named = sql.transfer.THREAD_TABLES
            read_thread(db, each, naming, wants, take)
            if chosen.is_part:
                chosen.segments |= _listed(db, each, chosen.segments)
            read_thread(db, each, [named], wants, take)

    def _chosen(self, db: Db, thread_id: str, updated_at: int, half_deleted: LargeThread | None) -> Selection:
        if self._rule is None and half_deleted is None:
            return Everything()
        view = thread_view(db, thread_id, self._state_format, updated_at)
        if half_deleted is not None:
            return select_left(thread_id, view, self._rule, half_deleted)
        assert self._rule is not None
        return select(thread_id, view, self._rule)

    def _take(self, parcel: Parcel, chosen: Selection, table: Table, row: Row) -> None:
        row = checked(table, row)
        if table is CHECKPOINT:
            row = self._take_checkpoint(parcel, chosen, row)
        elif table is SEGMENT and (object_key := SegmentCells(*row).object_key) is not None:
            parcel.object_keys.add(object_key)
        if (table is CHANNEL or table is WRITE) and chosen.is_part and (layout := row[-2]) is not None:
            entries = layout_of(f"a value of thread {row[0]!r}", layout)
            chosen.segments.update(layout_digests(entries), layout_references(entries))
        parcel.expected.add(row_hash(table.name, row))
        parcel.add(table, row, payload_bytes(table.name, row))

    def _take_checkpoint(self, parcel: Parcel, chosen: Selection, row: Row) -> Row:
        cells = CheckpointCells(*row)
        key = cells.key
        if cells.hidden:
            return row
        if chosen.hides(key[1:]):
            return hidden_row(row)
        parcel.count(key, cells.size)
        for tag in tag_rows(key, postings(parsed_metadata(key, cells.metadata), self._tag_keys, self._state_format.unindexed_when_empty)):
            parcel.add(TAG, tag, 0)
        return row


def _wants(parcel: Parcel, thread_id: str, chosen: Selection, table: Table, marks: Marks) -> bool:
    marks_hash = hash_of_marks(table.name, thread_id, (*marks.key, marks.bytes, marks.checksum))
    existing = parcel.existing
    if existing is not None and table is not SEGMENT:
        parcel.seen.add(marks_hash)
    if not chosen.has(table.name, marks.key):
        return False
    if existing is not None and marks_hash in (existing.segments if table is SEGMENT else existing.hashes):
        parcel.expected.add(marks_hash)
        return False
    return True


def _listed(db: Db, thread_id: str, names: Set[str]) -> set[str]:
    """The segments that those of some segments name that are lists."""
    keys = db.key_parameters(sql.tables.SEGMENT_KEY, [(thread_id, name) for name in names if is_list(name)])
    segments = [LoadedSegment(*row) for row in db.run(sql.checkpoints.segments, keys)]
    return {str(name) for each in segments for name in layout_of(f"a segment of thread {thread_id!r}", each.data or b"")}


def rows_of(db: Db, thread_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The rows of those of some threads that exist, by thread."""
    rows = db.run(sql.transfer.given_threads, db.key_parameters(("thread_id",), [(each,) for each in thread_ids]))
    return {row["thread_id"]: row for row in _named(rows)}


class Totals(NamedTuple):
    """What a store has, by the rows of its threads."""

    threads: int
    checkpoints: int
    bytes: int


def thread_totals(db: Db, without: Iterable[str] = ()) -> Totals:
    """What a store has, without some threads: for a progress bar, and for a comparison."""
    totals = Totals(*db.scan(sql.transfer.totals_of_threads, {})[0])
    for row in rows_of(db, list(without)).values():
        totals = Totals(totals.threads - 1, totals.checkpoints - row["checkpoint_count"], totals.bytes - row["size"])
    return totals


def _page_of(db: Db, rows: Sequence[Row]) -> tuple[list[SourceThread], str | None]:
    threads = [_thread(row) for row in _named(rows)]
    gone = gone_threads(db, [thread.thread_id for thread in threads])
    return [thread for thread in threads if thread.thread_id not in gone], threads[-1].thread_id if threads else None


def _named_threads(db: Db, thread_ids: Sequence[str]) -> list[SourceThread]:
    found = rows_of(db, thread_ids)
    return [_thread(found[each]) for each in sorted(found.keys() - gone_threads(db, list(found)))]


def _named(rows: Iterable[Row]) -> list[dict[str, Any]]:
    return [dict(zip(_NAMES, row, strict=True)) for row in rows]


def _thread(row: dict[str, Any]) -> SourceThread:
    return SourceThread(row["thread_id"], stamp_of(row), row["updated_at"], row["checkpoint_count"], row["size"])


def _since(threads: Sequence[SourceThread], since: int | None) -> list[SourceThread]:
    return [thread for thread in threads if since is None or thread.updated_at >= since]
