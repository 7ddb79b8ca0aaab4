"""Taking objects away that nothing refers to: in two passes, with a period of grace before each.

One pass marks what nothing refers to. A later one, under each row's lock and after looking again, marks what is still
marked as being deleted; only then does the object go, and last its row. A writer that uses an object again confirms
it in its own transaction, which clears the mark or, where the deletion has begun, tells it to upload anew. So whatever dies
or happens in between, no reference is left without its object, and what is left over is found from the rows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ClauseElement

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.handle import Db

logger = logging.getLogger(__name__)

_PAGE = 500
# Objects below a key sort before it; every key sorts after nothing.
_FIRST = ""


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What one pass of the collector did, or with `dry_run` would have done."""

    #: Objects that nothing refers to, marked for a later pass.
    marked: int = 0
    #: Marked objects that something refers to after all.
    unmarked: int = 0
    #: Objects that have gone.
    deleted: int = 0
    #: Their bytes.
    deleted_bytes: int = 0
    #: Keys that the backend failed to delete: the next pass tries again.
    failed: Sequence[str] = field(default=())
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GcPass:
    """One pass: when it is, and what counts as long ago.

    Args:
        moment: now, in microseconds since 1970, UTC.
        grace: microseconds that an object stays after anybody confirmed it, and again after it was marked.
        dry_run: whether to count only.
    """

    moment: int
    grace: int
    dry_run: bool

    @property
    def parameters(self) -> dict[str, Any]:
        """For the statements."""
        return {"moment": self.moment, "before": self.moment - self.grace, "page_size": _PAGE}


async def collect(objects: ObjectRegistry, this: GcPass) -> CollectReport:
    """Run one pass. On the objects' loop."""
    started = time.perf_counter()
    collector = _Collector(objects, this)
    # In this order: what a pass marks is never deleted by the same pass.
    report = await collector.sweep(CollectReport(dry_run=this.dry_run))
    report = await collector.mark(report)
    logger.info(
        "collected: %d objects deleted (%d bytes), %d marked, %d unmarked, %d failed",
        report.deleted, report.deleted_bytes, report.marked, report.unmarked, len(report.failed),
        extra={"event": "collected", "deleted": report.deleted, "bytes": report.deleted_bytes, "marked": report.marked,
               "unmarked": report.unmarked, "failed": len(report.failed), "dry_run": this.dry_run,
               "seconds": time.perf_counter() - started},
    )  # fmt: skip
    return report


class _Collector:
    def __init__(self, objects: ObjectRegistry, this: GcPass) -> None:
        self._objects = objects
        self._this = this

    async def sweep(self, report: CollectReport) -> CollectReport:
        # What an earlier pass was deleting when it died needs no new decision.
        for state, needs_verdict in (("deleting", False), ("marked", True)):
            before = {"before": self._this.moment + 1} if not needs_verdict else {}
            async for page in self._pages(sql.objects.objects_in_state, before, state):
                deletable, unmarked = await self._judge(page) if needs_verdict else (set(page), 0)
                report = replace(report, unmarked=report.unmarked + unmarked)
                report = await self._delete({key: size for key, size in page.items() if key in deletable}, report)
        return report

    async def _judge(self, page: dict[str, int]) -> tuple[set[str], int]:
        """Which of some marked objects are being deleted from here on, and how many are needed after all."""
        if self._this.dry_run:
            referred_to = await self._objects.read(self._named(sql.objects.referred_to_objects, page))
            return set(page) - referred_to, len(referred_to)

        def work(db: Db) -> tuple[set[str], int]:
            with db.transaction():
                # A statement of its own: what comes after it sees all that was committed before the locks were had.
                self._run(db, sql.objects.lock_objects, page)
                unmarked = self._run(db, sql.objects.unmark_objects, page)
                return self._run(db, sql.objects.start_deleting, page), len(unmarked)

        return await self._objects.write(work)

    async def _delete(self, deletable: dict[str, int], report: CollectReport) -> CollectReport:
        gone, failed = deletable, list(report.failed)
        if not self._this.dry_run:
            results = await asyncio.gather(*[self._objects.delete(key) for key in deletable])
            gone = {key: deletable[key] for key, deleted in zip(deletable, results, strict=True) if deleted}
            failed += [key for key in deletable if key not in gone]
            await self._objects.write(self._dropped(gone))
        return replace(
            report, deleted=report.deleted + len(gone), deleted_bytes=report.deleted_bytes + sum(gone.values()), failed=tuple(failed)
        )

    def _dropped(self, gone: dict[str, int]) -> Callable[[Db], None]:
        def work(db: Db) -> None:
            if gone:
                db.run(sql.objects.drop_objects, db.object_keys(gone))

        return work

    async def mark(self, report: CollectReport) -> CollectReport:
        async for page in self._pages(sql.objects.unreferenced_objects, {}):
            marked = set(page) if self._this.dry_run else await self._objects.write(self._named(sql.objects.mark_objects, page))
            report = replace(report, marked=report.marked + len(marked))
        return report

    # --- statements

    async def _pages(self, build: Callable[..., ClauseElement], parameters: dict[str, Any], *args: Any) -> AsyncIterator[dict[str, int]]:
        after = _FIRST
        while True:
            given = {**self._this.parameters, **parameters, "after": after}
            rows = await self._objects.rows(build, given, *args)
            if not rows:
                return
            after = rows[-1][0]
            yield {row[0]: row[1] for row in rows}

    def _named(self, build: Any, page: dict[str, int]) -> Callable[[Db], set[str]]:
        return lambda db: self._run(db, build, page)

    def _run(self, db: Db, build: Callable[..., ClauseElement], page: dict[str, int]) -> set[str]:
        return {row[0] for row in db.run(build, {**self._this.parameters, **db.object_keys(page)})}
