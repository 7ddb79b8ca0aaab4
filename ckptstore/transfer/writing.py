"""Storing a parcel at the target: all of its threads in one transaction, which may be repeated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import CHECKPOINT, CHECKPOINT_KEY, OBJECT, SEGMENT, TAG, THREAD, Row
from ckptstore.db.sql.transfer import THREAD_TABLES, key_in_thread
from ckptstore.db.tables import METADATA
from ckptstore.maintenance.thread_rows import lock_thread
from ckptstore.records import CheckpointKey
from ckptstore.transfer.own_source import rows_of
from ckptstore.transfer.parcel import Parcel, Stamp, TargetThread, stamp_of
from ckptstore.transfer.reading import marks_of
from ckptstore.transfer.remembered import Remembered, remember, remembered
from ckptstore.transfer.row_hash import hash_of_marks
from ckptstore.writes.rows import new_generation
from ckptstore.writes.tag_rows import delete_tags, stored_tag_rows

_KEYS_PER_DELETE = 500


class ThreadChanged(Exception):
    """A thread appeared at the target, or changed there, since it was looked at."""


class ObjectsGone(Exception):
    """Objects that the parcel refers to are being deleted; they have to be brought again."""

    def __init__(self, keys: Iterable[str]) -> None:
        super().__init__("objects are being deleted")
        self.keys = list(keys)


class Attempt(NamedTuple):
    """One attempt to store a parcel."""

    #: A repetition after a commit of unknown outcome finds by it that the parcel is stored.
    name: str
    #: The origin, see `remembered.origin_of`.
    origin: str
    #: The threads whose stamp changes with everything that is written to them from now on.
    trusted: frozenset[str]
    #: Microseconds since 1970, UTC.
    now: int


class StoreParcel:
    """Work for the target's database: store a parcel.

    Args:
        parcel: what is stored.
        attempt: what is remembered of it.
    """

    def __init__(self, parcel: Parcel, attempt: Attempt) -> None:
        self._parcel = parcel
        self._attempt = attempt
        #: The stamp of each thread afterwards.
        self.stamps: dict[str, Stamp] = {}

    def __call__(self, db: Db) -> None:
        """Run the transaction.

        Raises:
            ThreadChanged: nothing was stored.
            ObjectsGone: nothing was stored.
        """
        db.expect_long()
        ids = [thread.thread_id for thread in self._parcel.threads]
        with db.transaction():
            if self._was_stored(db, ids):
                return
            self._lock(db)
            self._confirm_objects(db)
            if self._parcel.existing is not None:
                _make_way(db, ids[0], self._parcel, self._parcel.existing)
            for kind, rows in self._parcel.spool.pages():
                table = METADATA.tables[kind]
                conflict = {TAG: "keep", SEGMENT: "replace_object"}.get(table, "replace" if self._parcel.existing else "keep")
                # The index of tags is clustered: rows in its order go to fewer of its pages.
                db.insert(table, conflict, sorted(rows) if table is TAG else rows)
            self._set_threads(db)

    def _was_stored(self, db: Db, ids: Sequence[str]) -> bool:
        known = remembered(db, ids)
        self.stamps = {each: found.target for each, found in known.items() if found.attempt == self._attempt.name}
        return bool(self.stamps)

    def _lock(self, db: Db) -> None:
        """Lock the threads' rows; those of new threads are inserted."""
        parcel = self._parcel
        if parcel.existing is not None:
            stamp = lock_thread(db, parcel.threads[0].thread_id)
            if stamp is None or [stamp.generation, stamp.checkpoint_count, stamp.updated_at] != _without_size(parcel.existing.stamp):
                raise ThreadChanged
            return
        rows = [self._row(each.thread_id) for each in sorted(parcel.threads)]
        if db.insert(THREAD, "keep", rows) < len(rows):
            raise ThreadChanged

    def _row(self, thread_id: str) -> Row:
        """The row of a new thread."""
        count, size = self._parcel.counters.get(thread_id, (0, 0))
        return (thread_id, *self._parcel.times[thread_id], new_generation(), count, size)

    def _confirm_objects(self, db: Db) -> None:
        db.insert(OBJECT, "keep", sorted(self._parcel.objects))
        keys = sorted(self._parcel.object_keys)
        if not keys:
            return
        live = {key for (key,) in db.run(sql.objects.confirm_live, {**db.object_keys(keys), "now": self._attempt.now})}
        if gone := set(keys) - live:
            raise ObjectsGone(gone)

    def _set_threads(self, db: Db) -> None:
        parcel = self._parcel
        if parcel.existing is not None:
            _set_thread(db, parcel, parcel.threads[0].thread_id)
        self.stamps = {each: stamp_of(row) for each, row in rows_of(db, [thread.thread_id for thread in parcel.threads]).items()}
        known = {each.thread_id: each.stamp if each.thread_id in self._attempt.trusted else None for each in parcel.threads}
        remember(
            db, {each: Remembered(known[each], stamp, self._attempt.name, self._attempt.origin) for each, stamp in self.stamps.items()}
        )


def _without_size(stamp: Stamp) -> Stamp:
    generation, count, _, updated_at = stamp
    return [generation, count, updated_at]


def _make_way(db: Db, thread_id: str, parcel: Parcel, existing: TargetThread) -> None:
    """Delete the tags of checkpoints that are replaced, and with `mirror` all rows that the source does not have."""
    for kind, rows in parcel.spool.pages():
        if kind == CHECKPOINT.name:
            _delete_tags(db, [row[: len(CHECKPOINT_KEY)] for row in rows])
    if not existing.mirror:
        return
    for table in THREAD_TABLES:
        if table is SEGMENT:
            # A prune deletes those that no value names any more.
            continue
        for page in marks_of(db, thread_id, table):
            found = {marks.key: hash_of_marks(table.name, thread_id, (*marks.key, marks.bytes, marks.checksum)) for marks in page}
            extra = [key for key, found_hash in found.items() if found_hash not in parcel.expected]
            if extra and table is CHECKPOINT:
                _delete_tags(db, [(thread_id, *key) for key in extra])
            for start in range(0, len(extra), _KEYS_PER_DELETE):
                keys = [tuple(map(str, key)) for key in extra[start : start + _KEYS_PER_DELETE]]
                db.run(sql.transfer.delete_rows, {"thread_id": thread_id, **db.key_parameters(key_in_thread(table), keys)}, table)


def _delete_tags(db: Db, keys: list[Row]) -> None:
    found = db.run(sql.batch_parts.metadata_of, db.key_parameters(CHECKPOINT_KEY, keys))
    delete_tags(db, stored_tag_rows((CheckpointKey(*key), metadata) for *key, metadata in found))


def _set_thread(db: Db, parcel: Parcel, thread_id: str) -> None:
    """Set the row of a thread that existed; values may have been deleted, so it gets the next generation."""
    assert parcel.existing is not None
    ((count, size),) = db.run(sql.transfer.totals_of_thread, {"thread_id": thread_id})
    times = parcel.times[thread_id]
    values = {"created_at": times.created_at, "updated_at": times.updated_at, "generation": parcel.existing.stamp[0] + 1}
    values |= {"checkpoint_count": count, "size": size}
    db.run(sql.transfer.set_thread, {"thread_id": thread_id, **{f"new_{name}": value for name, value in values.items()}})
