"""Checking that all is there: every object and segment that a value is made of, and what the backend holds beside them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select

from ckptstore.blobs.backends.protocol import BlobEntry
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.runtime.temporary_files import temporary_path
from ckptstore.values.compression import decompress_segment
from ckptstore.values.digests import hash_file

R = TypeVar("R", bound=Sequence[Any])

logger = logging.getLogger(__name__)

_PAGE = 500
# Each thread is one look at all of its layouts.
_THREADS = 50
# Every object that is read whole has a temporary file open.
_PARALLEL = 8
# No thread's id sorts after it: the last look takes in threads that have lost their own row.
_LAST = "\U0010ffff"


class _Segment(NamedTuple):
    """One row of `segments_after`, and what of its list is not there."""

    thread_id: str
    digest: str
    object_key: str | None
    size: int
    encoding: str
    object_state: str | None
    held: bool
    data: bytes | None
    lacking: Sequence[str] = ()


async def verify(objects: ObjectRegistry, *, deep: bool, progress: Callable[[int], None] | None = None) -> VerifyReport:
    """Check that the values of channels and writes can be put together. On the objects' loop.

    These are checked:
        - every segment that a layout or a list of segments names is in the database, in the same thread;
        - every segment holds bytes, or refers to an object whose row says that it is there, in a store that has a backend;
        - every list of segments has its digest;
        - every object that is live, or marked although a segment refers to it, is in the backend and has its size;
        - with `deep`, the bytes of every segment in the database and of every object have their digest.

    These are not: that a checkpoint's channels have values, the bytes that are kept in a value's own row, that an object holds
    the segment which refers to it, what a serialiser makes of it all, and handles that no object belongs to (a text that only
    looks like one is legal). Writers, prunes and collectors may be at work meanwhile: what they take away is not reported.

    Args:
        objects: the store's.
        deep: whether to read all bytes.
        progress: told how many threads, segments or objects were just looked at, on the objects' loop.

    Raises:
        BlobUnavailable: the backend failed.
        OSError: with `deep`, a temporary file can't be written.
    """
    started = time.perf_counter()
    verifier = _Verifier(objects, deep, progress or (lambda _count: None))
    report = await verifier.run()
    _log(report, time.perf_counter() - started)
    return report


def _log(report: VerifyReport, seconds: float) -> None:
    counts = {each.name: _count(getattr(report, each.name)) for each in fields(report)}
    logger.log(
        logging.INFO if report.ok else logging.ERROR,
        "verified %d objects and %d segments: %d objects missing, %d segments missing, %d corrupt, %d broken references, "
        "%d unregistered objects in %.3f s",
        report.objects,
        report.segments,
        *[counts[name] for name in ("missing_objects", "missing_segments", "corrupt", "broken_references", "unregistered_objects")],
        seconds,
        extra={"event": "verified", "seconds": seconds, **counts},
    )


def _count(found: int | list[Any]) -> int:
    return found if isinstance(found, int) else len(found)


class _Verifier:
    def __init__(self, objects: ObjectRegistry, deep: bool, progress: Callable[[int], None]) -> None:
        self._objects = objects
        self._deep = deep
        self._progress = progress
        self._report = VerifyReport()
        # A layout and a list may name the same.
        self._lacking: set[tuple[str, str]] = set()
        self._files = asyncio.Semaphore(_PARALLEL)

    async def run(self) -> VerifyReport:
        await self._check_layouts()
        await self._check_segments()
        if self._objects.has_backend:
            await self._check_objects()
            await self._find_strays()
        self._report.missing_segments = sorted(self._lacking)
        return self._report

    # --- in the database

    async def _check_layouts(self) -> None:
        after = ""
        async for threads in _pages(partial(self._objects.rows, sql.verify.threads_after), _THREADS, after=0):
            await self._check_threads(after, threads[-1][0])
            after = threads[-1][0]
            self._progress(len(threads))
        await self._check_threads(after, _LAST)

    async def _check_threads(self, after: str, last: str) -> None:
        lacking = await self._objects.rows(sql.verify.lacking_segments, {"after": after, "last": last})
        self._lacking |= {(row[0], row[1]) for row in lacking}

    async def _check_segments(self) -> None:
        async for segments in _pages(self._read_segments, _PAGE, after_thread=0, after_digest=1):
            self._report.segments += len(segments)
            self._report.broken_references += [segment[:2] for segment in segments if self._dangles(segment)]
            self._report.corrupt += await asyncio.to_thread(_altered, segments)
            self._lacking |= {(segment.thread_id, digest) for segment in segments for digest in segment.lacking}
            self._progress(len(segments))

    async def _read_segments(self, parameters: dict[str, Any]) -> Sequence[_Segment]:
        return await self._objects.read(partial(_segments, self._deep, parameters=parameters))

    def _dangles(self, segment: _Segment) -> bool:
        # Who stores a segment makes its object live in the same transaction: `pending` is not on its way to it. A marked
        # object that something refers to is there, and the collector unmarks it.
        there = self._objects.has_backend and segment.object_state in ("live", "marked")
        return segment.object_key is not None and not there

    # --- in the backend

    async def _check_objects(self) -> None:
        async for rows in _pages(partial(self._objects.rows, sql.verify.registered_objects), _PAGE, after=0):
            # One that is pending may not be there yet, one that is being deleted not any more.
            await asyncio.gather(*[self._check_object(*row[:3]) for row in rows if row[3] in ("live", "marked")])

    async def _check_object(self, key: str, digest: str, size: int) -> None:
        self._report.objects += 1
        self._report.object_bytes += size
        try:
            found = None if await self._is_right(key, digest, size) else self._report.corrupt
        except BlobMissing:
            found = self._report.missing_objects
        # The row was read before the object: a collector may have taken both away in between.
        if found is not None and await self._among(sql.verify.needed_among, [key]):
            found.append(key)
        self._progress(1)

    async def _is_right(self, key: str, digest: str, size: int) -> bool:
        found = await self._objects.backend.size(key)
        if found is None:
            raise BlobMissing(f"object {key} is not at {self._objects.backend.url}")
        return found == size and (not self._deep or await self._digest_of(key) == digest)

    async def _digest_of(self, key: str) -> str:
        # By way of a file, since an object may be larger than the memory.
        async with self._files:
            with temporary_path() as path:
                await self._objects.backend.get_file(key, path)
                return (await asyncio.to_thread(hash_file, path))[0]

    async def _find_strays(self) -> None:
        async for page in _pages_of(self._objects.backend.entries()):
            keys = [entry.key for entry in page]
            known = await self._among(sql.verify.registered_among, keys)
            # One that a collector took in between has gone, row and all.
            self._report.unregistered_objects += [
                key for key in keys if key not in known and await self._objects.backend.size(key) is not None
            ]

    async def _among(self, build: Callable[[str], Select[Any]], keys: Sequence[str]) -> set[str]:
        rows = await self._objects.read(lambda db: db.run(build, db.object_keys(keys)).all())
        return {row[0] for row in rows}


async def _pages(read: Callable[[dict[str, Any]], Awaitable[Sequence[R]]], page_size: int, **columns: int) -> AsyncIterator[Sequence[R]]:
    """Page after page of rows, in the order of their key: `columns` says which parameter takes which column of the last row."""
    place: dict[str, Any] = dict.fromkeys(columns, "")
    while rows := await read({**place, "page_size": page_size}):
        yield rows
        place = {name: rows[-1][column] for name, column in columns.items()}


def _segments(deep: bool, db: Db, parameters: dict[str, Any]) -> Sequence[_Segment]:
    # A prune takes a list away together with what it names: both are read from one state of the database.
    with db.snapshot():
        segments = [_Segment(*row) for row in db.run(sql.verify.segments_after, parameters, deep)]
        named = {(segment.thread_id, digest) for segment in segments for digest in _digests_in(segment)}
        given = db.key_parameters(sql.tables.SEGMENT_KEY, sorted(named))
        there = {(row[0], row[1]) for row in db.run(sql.verify.segments_among, given)} if named else set()
    lacking = named - there
    return [
        segment._replace(lacking=[digest for digest in _digests_in(segment) if (segment.thread_id, digest) in lacking])
        for segment in segments
    ]


def _digests_in(segment: _Segment) -> Sequence[str]:
    if segment.encoding != "list" or segment.data is None:
        return ()
    try:
        digests = json.loads(segment.data)
    except ValueError:
        # Altered, which its own digest tells.
        return ()
    return [digest for digest in digests if isinstance(digest, str)] if isinstance(digests, list) else ()


def _altered(segments: Sequence[_Segment]) -> list[str]:
    return [segment.digest for segment in segments if not _is_whole(segment)]


def _is_whole(segment: _Segment) -> bool:
    if segment.data is None:
        # Not asked for, or in an object.
        return segment.held or segment.object_key is not None
    try:
        decompress_segment(segment.digest, segment.size, segment.encoding, segment.data)
    except BlobCorrupt:
        return False
    return True


async def _pages_of(entries: AsyncIterator[BlobEntry]) -> AsyncIterator[list[BlobEntry]]:
    page: list[BlobEntry] = []
    async for entry in entries:
        page.append(entry)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
