"""Verification: whether every segment and object that the stored values consist of exists and has the right content."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Select

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable, CheckpointCorrupt, DatabaseCorrupt
from ckptstore.maintenance.pages import key_pages, pages
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.verify_rows import check_rows, database_faults, wrong_cells
from ckptstore.maintenance.verify_segments import Segment, SegmentRef, after_segment, corrupt_digests, read_segments
from ckptstore.maintenance.verify_tags import check_tags
from ckptstore.records import CheckpointKey, StateFormat
from ckptstore.runtime.temporary_files import temporary_path
from ckptstore.values.digests import hash_file

logger = logging.getLogger(__name__)

_ROWS_PER_PAGE = 500
# One statement reads all layouts of this number of threads.
_THREADS_PER_PAGE = 50
# Each object whose content is read has a temporary file open.
_MAX_OPEN_FILES = 8
# Sorts after every thread id: the last statement also finds threads that have no row in the table of threads.
_AFTER_ALL_THREADS = "\U0010ffff"


class _ObjectRow(NamedTuple):
    """One row of `registered_objects`."""

    key: str
    digest: str
    size: int
    state: str


async def verify(
    objects: ObjectRegistry, state_format: StateFormat, *, deep: bool, progress: Callable[[int], None] | None = None
) -> VerifyReport:
    """Check that the values of channels and writes can be read back, on the event loop of the objects.

    It checks that
        - every row of a checkpoint, a channel's value or a write has its checksum, if it has one;
        - on SQLite, every cell has the type of its column;
        - every visible checkpoint has as many values as it was stored with, and the tags that its metadata gives;
        - every thread has as many visible checkpoints as its row counts;
        - every segment that a layout or a list of segments names is in the database, in the same thread;
        - every segment has bytes, or refers to a registered object, in a store that has a backend;
        - the content of every list of segments has its digest;
        - every object that is live, or marked although a segment refers to it, is in the backend with its size;
        - with `deep`, the content of every other segment in the database and of every object has its digest, and SQLite finds nothing
          wrong in its file.

    It does not notice a write whose row was deleted, a whole thread that was deleted, or a checkpoint whose parent was deleted by hand: a
    prune may have deleted it. It does not look for tags that no metadata gives, nor check that an object has the content of the segments
    which refer to it, whether the serialiser can read the values, and blob handles whose blob does not exist (any text may look like a
    handle). Writers, prunes and garbage collection may run at the same time: what they delete is not reported.

    Args:
        objects: the registry of the store's objects.
        state_format: what the checkpoints' metadata means.
        deep: whether to read the content of all segments and objects.
        progress: called on the event loop of the objects with the number of threads, segments or objects that were just checked.

    Raises:
        BlobUnavailable: the backend failed; not where it only fails to read one object.
        OSError: with `deep`, a temporary file can't be written.
    """
    started = time.perf_counter()
    verifier = _Verifier(objects, state_format, deep, progress or (lambda _count: None))
    report = await verifier.run()
    _log(report, time.perf_counter() - started)
    return report


def _log(report: VerifyReport, seconds: float) -> None:
    counts = {each.name: _count(getattr(report, each.name)) for each in fields(report)}
    problems = (
        "missing_objects",
        "missing_segments",
        "incomplete_checkpoints",
        "wrong_counts",
        "untagged_checkpoints",
        "corrupt",
        "unreadable_objects",
        "broken_references",
        "unregistered_objects",
        "database_faults",
        "unchecked_rows",
    )
    logger.log(
        logging.INFO if report.ok else logging.ERROR,
        "verified %d objects and %d segments in %.3f s: %s", report.objects, report.segments, seconds,
        ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in problems),
        extra={"event": "verified", "seconds": seconds, **counts},
    )  # fmt: skip


def _count(found: int | list[Any]) -> int:
    return found if isinstance(found, int) else len(found)


class _Verifier:
    def __init__(self, objects: ObjectRegistry, state_format: StateFormat, deep: bool, progress: Callable[[int], None]) -> None:
        self._objects = objects
        self._state_format = state_format
        self._deep = deep
        self._progress = progress
        self._report = VerifyReport()
        # A set: a layout and a list may name the same segment.
        self._missing_segments: set[SegmentRef] = set()
        self._open_files = asyncio.Semaphore(_MAX_OPEN_FILES)

    async def run(self) -> VerifyReport:
        checks: list[Callable[[], Awaitable[None]]] = [
            self._check_layouts,
            self._check_segments,
            self._check_cells,
            partial(check_rows, self._objects, self._report),
            partial(check_tags, self._objects, self._state_format, self._report),
        ]
        if self._deep:
            checks.insert(0, self._check_database)
        checks += [self._check_objects, self._find_unregistered_objects]
        for check in checks:
            try:
                await check()
            except (CheckpointCorrupt, DatabaseCorrupt) as exc:
                self._report.database_faults.append(str(exc))
        self._report.missing_segments = sorted((each.thread_id, each.digest) for each in self._missing_segments)
        return self._report

    # --- in the database

    async def _check_database(self) -> None:
        self._report.database_faults += await self._objects.read(database_faults)

    async def _check_cells(self) -> None:
        self._report.database_faults += await self._objects.read(wrong_cells)

    async def _check_layouts(self) -> None:
        after = ""
        async for thread_ids in pages(self._read_thread_ids, {"after": ""}, lambda last: {"after": last}, _THREADS_PER_PAGE):
            await self._check_layouts_between(after, thread_ids[-1])
            after = thread_ids[-1]
            self._progress(len(thread_ids))
        await self._check_layouts_between(after, _AFTER_ALL_THREADS)

    async def _read_thread_ids(self, parameters: dict[str, Any]) -> Sequence[str]:
        return [thread_id for (thread_id,) in await self._objects.scan(sql.threads.threads_after, parameters)]

    async def _check_layouts_between(self, after: str, last: str) -> None:
        rows = await self._objects.scan(sql.verify.missing_segments, {"after": after, "last": last})
        self._missing_segments |= {SegmentRef(*row) for row in rows}
        incomplete = await self._objects.scan(sql.verify.incomplete_checkpoints, {"after": after, "last": last})
        self._report.incomplete_checkpoints += [CheckpointKey(*row) for row in incomplete]
        counts = await self._objects.scan(sql.verify.wrong_counts, {"after": after, "last": last})
        self._report.wrong_counts += sorted(thread_id for (thread_id,) in counts)

    async def _check_segments(self) -> None:
        start = {"after_thread_id": "", "after_digest": ""}
        async for segments in pages(self._read_segments, start, after_segment, _ROWS_PER_PAGE):
            self._report.segments += len(segments)
            self._report.broken_references += [(each.thread_id, each.digest) for each in segments if self._is_broken(each)]
            self._report.corrupt += await asyncio.to_thread(corrupt_digests, segments)
            self._missing_segments |= {SegmentRef(each.thread_id, digest) for each in segments for digest in each.missing}
            self._progress(len(segments))

    async def _read_segments(self, parameters: dict[str, Any]) -> Sequence[Segment]:
        return await self._objects.read(partial(read_segments, self._deep, parameters=parameters))

    def _is_broken(self, segment: Segment) -> bool:
        # A writer makes an object live in the transaction that stores its segment, so `pending` is a fault. A marked object that
        # is referred to exists: the next garbage collection pass unmarks it.
        key = segment.object_key
        return key is not None and not (self._objects.reaches(key) and segment.object_state in ("live", "marked"))

    # --- in the backend

    async def _check_objects(self) -> None:
        async for rows in pages(self._read_objects, {"after": ""}, lambda last: {"after": last.key}, _ROWS_PER_PAGE):
            # A pending object may not be uploaded yet, and one in state `deleting` may be deleted already.
            stored = [row for row in rows if row.state in ("live", "marked") and self._objects.reaches(row.key)]
            await asyncio.gather(*[self._check_object(row) for row in stored])

    async def _read_objects(self, parameters: dict[str, Any]) -> Sequence[_ObjectRow]:
        return [_ObjectRow(*row) for row in await self._objects.scan(sql.verify.registered_objects, parameters)]

    async def _check_object(self, row: _ObjectRow) -> None:
        self._report.objects += 1
        self._report.object_bytes += row.size
        problems = await self._problems_of(row)
        # The row was read before the object: garbage collection may have deleted both since.
        if problems is not None and await self._keys_among(sql.verify.needed_among, [row.key]):
            problems.append(row.key)
        self._progress(1)

    async def _problems_of(self, row: _ObjectRow) -> list[str] | None:
        """The list of the report that an object belongs in; None if nothing is wrong with it. The backend's own failure is raised."""
        size = await self._objects.backend.size(row.key)
        if size is None:
            return self._report.missing_objects
        try:
            is_right = size == row.size and (not self._deep or await self._digest_of(row) == row.digest)
        except BlobMissing:
            return self._report.missing_objects
        except BlobCorrupt:
            return self._report.corrupt
        except BlobUnavailable as exc:
            # A backend that still tells an object's size works: the fault is the object's own (a bad sector, an archived object).
            await self._objects.backend.size(row.key)
            logger.warning("an object can't be read: %s", exc, extra={"event": "object_unreadable", "key": row.key})
            return self._report.unreadable_objects
        return None if is_right else self._report.corrupt

    async def _digest_of(self, row: _ObjectRow) -> str:
        # Through a file: an object may be larger than the memory.
        async with self._open_files:
            with temporary_path() as path:
                await self._objects.backend.get_file(row.key, path, row.size)
                digest, _size = await asyncio.to_thread(hash_file, path)
                return digest

    async def _find_unregistered_objects(self) -> None:
        async for keys in key_pages(self._objects.backend, _ROWS_PER_PAGE):
            registered = await self._keys_among(sql.verify.registered_among, keys)
            for key in keys:
                # The object was listed before the row was read: garbage collection may have deleted both since.
                if key not in registered and await self._objects.backend.size(key) is not None:
                    self._report.unregistered_objects.append(key)

    async def _keys_among(self, build: Callable[[str], Select[Any]], keys: Sequence[str]) -> set[str]:
        """The keys of the objects, among the given ones, that a statement finds."""
        rows = await self._objects.read(lambda db: db.run(build, db.object_keys(keys)).all())
        return {key for (key,) in rows}
