"""Erasing threads with the blobs that only they used, at once: for requests to be forgotten."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Work
from ckptstore.db.times import from_microseconds
from ckptstore.errors import InvalidConfig
from ckptstore.maintenance.erasure_notes import forget_note, note_name, note_objects, noted_objects
from ckptstore.maintenance.gc import collect_now
from ckptstore.maintenance.reports import CollectReport, EraseReport
from ckptstore.maintenance.tag_values import delete_values_left
from ckptstore.reads.threads import ThreadPage, load_threads
from ckptstore.records import ThreadInfo
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter

T = TypeVar("T")

logger = logging.getLogger(__name__)

_PAGE_SIZE = 500
# Somebody may write to a thread that is being erased; those writes are not refused.
_MAX_PASSES = 5
# How often it asks for the lock without which the values of tags can't be deleted, 100 ms each.
_LOCK_ATTEMPTS = 100


class Erasure:
    """One erasure.

    Args:
        store: the store.
        wanted: threads with a checkpoint that matches are erased, whole.
        grace: how long blobs that only they used are left to the collector; zero deletes them at once.
        clock: gives microseconds since 1970, UTC.
        progress: called after each thread.
    """

    def __init__(
        self, store: Store, wanted: Filter, grace: timedelta, clock: Callable[[], int], progress: Callable[[EraseReport], None]
    ) -> None:
        if not wanted.entries:
            raise InvalidConfig("an empty filter would erase every thread; name what to erase")
        self._store, self._wanted, self._grace = store, wanted, grace
        self._clock, self._progress = clock, progress
        now = from_microseconds(clock())
        self.report = EraseReport(now, now)
        self._keys: set[str] = set()

    def run(self, *, dry_run: bool) -> Steps[EraseReport]:
        """Erase, or with `dry_run` find what would be."""
        self.report.dry_run = dry_run
        with self._store.monitor.erase.observed():
            return (yield from self._run(dry_run))

    def _run(self, dry_run: bool) -> Steps[EraseReport]:
        wanted = yield from self._store.resolve_filter(self._wanted)
        if not dry_run:
            yield from self._finish_others()
        for _ in range(_MAX_PASSES):
            found = yield from self._matching(wanted)
            for thread in found:
                yield from self._count(thread) if dry_run else self._erase(thread.thread_id)
                self._progress(self.report)
            if dry_run or not found:
                break
        yield from self._count_blobs()
        if not dry_run and not (yield from delete_values_left(self._store.read, self._store.run_in_queue, _LOCK_ATTEMPTS)):
            self.report.tag_values_left = True
        self.report.ended_at = from_microseconds(self._clock())
        counts = {"threads": len(self.report.threads), "checkpoints": self.report.checkpoints, "objects": self.report.objects}
        logger.info("erased %d threads", len(self.report.threads), extra={"event": "erased", "dry_run": dry_run, **counts})
        return self.report

    def _read(self, work: Work[T]) -> Steps[T]:
        return self._store.read_stale(work) if self.report.dry_run else self._store.read(work)

    def _matching(self, wanted: Filter) -> Steps[list[ThreadInfo]]:
        found: list[ThreadInfo] = []
        after: ThreadInfo | None = None
        more = True
        while more:
            work = partial(load_threads, wanted=wanted, order_by="thread_id", after=after, size=_PAGE_SIZE)
            page: ThreadPage = yield from self._read(work)
            found += page.threads
            after, more = page.last, page.more
        return found

    def _count(self, thread: ThreadInfo) -> Steps[None]:
        self.report.threads.append(thread.thread_id)
        self.report.checkpoints += thread.checkpoints
        self._keys.update((yield from self._read(partial(_objects_of, thread_id=thread.thread_id))))

    def _erase(self, thread_id: str) -> Steps[None]:
        # Before: afterwards nothing says which they were.
        keys = yield from self._store.read(partial(_objects_of, thread_id=thread_id))
        self._keys.update(keys)
        reached = [key for key in keys if self._store.objects.reaches(key)] if not self._grace else []
        note = note_name()
        if reached:
            yield from self._store.run_in_queue(partial(note_objects, name=note, object_keys=reached), thread_id)
        deleted = yield from self._store.delete_thread(thread_id)
        report = self.report
        if thread_id not in report.threads:
            report.threads.append(thread_id)
        for name in ("checkpoints", "writes", "values", "segments"):
            setattr(report, name, getattr(report, name) + getattr(deleted, name))
        if reached:
            yield from self._collect(note, reached)

    def _collect(self, note: str, keys: Sequence[str]) -> Steps[None]:
        objects, report = self._store.objects, self.report
        collected: CollectReport = yield objects.run(collect_now(objects, keys, self._clock()))
        report.objects += collected.deleted
        report.object_bytes += collected.deleted_bytes
        report.failed += collected.failed
        yield from self._store.run_in_queue(partial(forget_note, name=note))

    def _finish_others(self) -> Steps[None]:
        """Finish what erasures and deletions have begun whose process died."""
        yield from self._store.finish_deletions()
        if not self._grace:
            for note, keys in (yield from self._store.read(noted_objects)).items():
                self._keys.update(keys)
                yield from self._collect(note, keys)

    def _count_blobs(self) -> Steps[None]:
        if self.report.dry_run:
            return
        found = yield from self._read(partial(_still_there, keys=sorted(self._keys)))
        self.report.shared_objects = len(found.referred_to)
        self.report.objects_left = found.objects - len(found.referred_to) - len(self.report.failed)


def _objects_of(db: Db, thread_id: str) -> Sequence[str]:
    return [key for (key,) in db.scan(sql.transfer.objects_of_thread, {"thread_id": thread_id})]


class _StillThere(NamedTuple):
    objects: int
    referred_to: Sequence[str]


def _still_there(db: Db, keys: Sequence[str]) -> _StillThere:
    if not keys:
        return _StillThere(0, [])
    objects = db.run(sql.transfer.given_objects, db.object_keys(keys)).all()
    return _StillThere(len(objects), [key for (key,) in db.scan(sql.objects.referred_to_objects, db.object_keys(keys))])
