"""Garbage collection of objects: mark and sweep in two passes, with a grace period before each.

A pass marks the objects that nothing refers to. A later pass locks the rows of the marked objects, checks again that nothing
refers to them, and sets their state to `deleting`; only then does it delete the object, and last its row. A writer that reuses an
object confirms it in its own transaction, which unmarks it; if its state is `deleting`, the writer uploads the content under a new
key instead. So no crash and no race leaves a reference without its object, and whatever a crash leaves behind is found from the rows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import ClauseElement

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.errors import BlobUnavailable
from ckptstore.maintenance.gc_pass import PAGE_SIZE, GcPass
from ckptstore.maintenance.reports import CollectReport
from ckptstore.maintenance.turns import write_in_turn

logger = logging.getLogger(__name__)


async def collect(objects: ObjectRegistry, gc_pass: GcPass) -> CollectReport:
    """Run one pass, on the event loop of the objects."""
    started = time.perf_counter()
    collector = _Collector(objects, gc_pass)
    await collector.finish_deletions()
    # Before marking: a pass never deletes an object that it marked itself.
    await collector.sweep()
    await collector.mark()
    await collector.delete_unfinished()
    report, seconds = collector.report, time.perf_counter() - started
    logger.info(
        "garbage collection: %d objects deleted (%d bytes), %d marked, %d unmarked, %d failed in %.3f s",
        report.deleted, report.deleted_bytes, report.marked, report.unmarked, len(report.failed), seconds,
        extra={"event": "collected", "deleted": report.deleted, "bytes": report.deleted_bytes, "marked": report.marked,
               "unmarked": report.unmarked, "unfinished": report.unfinished, "failed": len(report.failed),
               "dry_run": gc_pass.dry_run, "seconds": seconds},
    )  # fmt: skip
    return report


async def collect_now(objects: ObjectRegistry, keys: Sequence[str], now: int) -> CollectReport:
    """Delete those of some objects that nothing refers to, without a period of grace, on the event loop of the objects.

    A writer that is about to refer to one finds it being deleted, and uploads its content again. A handle that nobody has stored yet
    leads nowhere afterwards.

    Args:
        objects: the registry.
        keys: the objects.
        now: microseconds since 1970, UTC; what was confirmed later is kept.
    """
    collector = _Collector(objects, GcPass(now + 1, timedelta(0)))
    for start in range(0, len(keys), PAGE_SIZE):
        await collector.delete_unreferenced(keys[start : start + PAGE_SIZE])
    return collector.report


class _StoredObject(NamedTuple):
    key: str
    size: int


class _Collector:
    def __init__(self, objects: ObjectRegistry, gc_pass: GcPass) -> None:
        self._objects = objects
        self._parameters = gc_pass.parameters
        self._grace_seconds = gc_pass.grace.total_seconds()
        self._dry_run = gc_pass.dry_run
        self.report = CollectReport(dry_run=gc_pass.dry_run)

    async def finish_deletions(self) -> None:
        """Delete the objects in state `deleting`: an earlier pass died before it deleted them, or the backend failed."""
        # It was decided that they are deleted: no grace period applies.
        no_grace = {"before": self._parameters["now"] + 1}
        async for sizes in self._pages(sql.objects.objects_in_state, no_grace, "deleting"):
            await self._delete(sizes)

    async def delete_unreferenced(self, keys: Sequence[str]) -> None:
        """Mark those of some objects that nothing refers to, and delete them; also those that a pass which died was about to delete."""
        await write_in_turn(self._objects, self._for_keys(sql.objects.mark_objects, keys))
        rows = await self._objects.read(lambda db: db.run(sql.transfer.given_objects, db.object_keys(keys)).all())
        sizes = {key: size for key, _digest, size, *_ in rows}
        deletable = await self._start_deleting(sizes)
        deletable |= {key for key, _digest, _size, _created_at, state, *_ in rows if state == "deleting"}
        await self._delete({key: sizes[key] for key in sizes if key in deletable})

    async def sweep(self) -> None:
        """Delete the objects that were marked before the grace period and that nothing refers to; unmark the others."""
        async for sizes in self._pages(sql.objects.objects_in_state, {}, "marked"):
            deletable = await (self._still_unreferenced(sizes) if self._dry_run else self._start_deleting(sizes))
            await self._delete({key: sizes[key] for key in sizes if key in deletable})

    async def mark(self) -> None:
        """Mark the objects that nothing refers to and that no writer confirmed within the grace period."""
        async for sizes in self._pages(sql.objects.unreferenced_objects, {}):
            marked = (
                await self._unreferenced(sizes)
                if self._dry_run
                else await write_in_turn(self._objects, self._for_keys(sql.objects.mark_objects, sizes))
            )
            self.report = replace(self.report, marked=self.report.marked + len(marked))

    async def delete_unfinished(self) -> None:
        """Delete what killed uploads have left in the backend without being an object."""
        try:
            count = await self._objects.backend.delete_unfinished(self._grace_seconds, dry_run=self._dry_run)
        except BlobUnavailable as exc:
            logger.warning("unfinished uploads could not be deleted: %s", exc, extra={"event": "unfinished_not_deleted"})
            return
        self.report = replace(self.report, unfinished=count)

    async def _still_unreferenced(self, sizes: Mapping[str, int]) -> set[str]:
        unreferenced = await self._unreferenced(sizes)
        self._count_unmarked(len(sizes) - len(unreferenced))
        return unreferenced

    async def _unreferenced(self, sizes: Mapping[str, int]) -> set[str]:
        return sizes.keys() - await self._objects.read(self._for_keys(sql.objects.referred_to_objects, sizes))

    async def _start_deleting(self, sizes: Mapping[str, int]) -> set[str]:
        """Under a lock, unmark the objects that are referred to again, and set the state of the others to `deleting`."""

        def work(db: Db) -> tuple[set[str], set[str]]:
            with db.transaction():
                # A separate statement: those after it see everything that was committed before the locks were granted.
                self._run(db, sql.objects.lock_objects, sizes)
                return self._run(db, sql.objects.unmark_objects, sizes), self._run(db, sql.objects.start_deleting, sizes)

        unmarked, deletable = await write_in_turn(self._objects, work)
        self._count_unmarked(len(unmarked))
        return deletable

    def _count_unmarked(self, count: int) -> None:
        self.report = replace(self.report, unmarked=self.report.unmarked + count)

    async def _delete(self, sizes: Mapping[str, int]) -> None:
        """Delete objects in state `deleting`, then their rows."""
        deleted = sizes if self._dry_run else await self._delete_from_backend(sizes)
        self.report = replace(
            self.report,
            deleted=self.report.deleted + len(deleted),
            deleted_bytes=self.report.deleted_bytes + sum(deleted.values()),
            failed=(*self.report.failed, *[key for key in sizes if key not in deleted]),
        )

    async def _delete_from_backend(self, sizes: Mapping[str, int]) -> dict[str, int]:
        results = await asyncio.gather(*[self._objects.delete(key) for key in sizes])
        deleted = {key: sizes[key] for key, succeeded in zip(sizes, results, strict=True) if succeeded}
        if deleted:
            await write_in_turn(self._objects, lambda db: db.run(sql.objects.drop_objects, db.object_keys(deleted)))
        return deleted

    # --- statements

    async def _pages(self, build: Callable[..., ClauseElement], more: Mapping[str, Any], *args: Any) -> AsyncIterator[dict[str, int]]:
        """The sizes of the objects that a statement finds, by key, a page at a time in the order of their keys."""
        # Every key sorts after the empty text.
        after = ""
        while rows := await self._objects.scan(build, {**self._parameters, **more, "after": after}, *args):
            found = [_StoredObject(*row) for row in rows]
            yield {each.key: each.size for each in found}
            after = found[-1].key

    def _for_keys(self, build: Callable[..., ClauseElement], keys: Iterable[str]) -> Callable[[Db], set[str]]:
        return lambda db: self._run(db, build, keys)

    def _run(self, db: Db, build: Callable[..., ClauseElement], keys: Iterable[str]) -> set[str]:
        """Run a statement on the objects with these keys; returns the keys that it returns."""
        db.expect_long()
        return {key for (key,) in db.run(build, {**self._parameters, **db.object_keys(keys)})}
