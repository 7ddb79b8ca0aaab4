"""Checking that all is there: every object and segment that a value is made of, and what the backend holds beside them."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.blobs import BlobEntry
from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.keys import hash_file
from ckptstore.objects import Objects
from ckptstore.prepared import Prepared, StatementCache
from ckptstore.segments import unpacked

logger = logging.getLogger(__name__)

_PAGE = 500


@dataclass(slots=True)
class VerifyReport:
    """What was found; `ok` where nothing is wrong."""

    #: Objects that should be there, and their bytes.
    objects: int = 0
    object_bytes: int = 0
    #: Segments, in the database or in objects.
    segments: int = 0
    #: Keys of objects that are not in the backend.
    missing: list[str] = field(default_factory=list)
    #: Keys of objects whose size (or with `deep` whose digest) is wrong, and digests of such segments.
    corrupt: list[str] = field(default_factory=list)
    #: (thread, digest) of segments that refer to an object which is not registered.
    dangling: list[tuple[str, str]] = field(default_factory=list)
    #: Keys in the backend that no row knows. They do no harm; ckptstore never deletes what it does not know.
    strays: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every value can be read. Strays don't count."""
        return not (self.missing or self.corrupt or self.dangling)


async def verify(objects: Objects, prepared: StatementCache, *, deep: bool) -> VerifyReport:
    """Check all references and objects: whether they are there and have their size, with `deep` also their digests."""
    started = time.perf_counter()
    report = VerifyReport()
    verifier = _Verifier(objects, prepared, report, deep)
    await verifier.check_segments()
    if objects.has_backend:
        await verifier.check_objects()
        await verifier.find_strays()
    logger.log(
        logging.INFO if report.ok else logging.ERROR,
        "verified %d objects and %d segments: %d missing, %d corrupt, %d dangling, %d strays",
        report.objects, report.segments, len(report.missing), len(report.corrupt), len(report.dangling), len(report.strays),
        extra={"event": "verified", "objects": report.objects, "segments": report.segments, "missing": len(report.missing),
               "corrupt": len(report.corrupt), "dangling": len(report.dangling), "strays": len(report.strays),
               "seconds": time.perf_counter() - started},
    )  # fmt: skip
    return report


class _Verifier:
    def __init__(self, objects: Objects, prepared: StatementCache, report: VerifyReport, deep: bool) -> None:
        self._objects = objects
        self._prepared = prepared
        self._report = report
        self._deep = deep

    async def check_segments(self) -> None:
        after = ("", "")
        while True:
            given = {"after_thread": after[0], "after_digest": after[1], "page_size": _PAGE}
            rows = await self._all(self._prepared(sql.segments_after), given)
            if not rows:
                return
            after = (rows[-1][0], rows[-1][1])
            self._report.segments += len(rows)
            for row in rows:
                await self._check_segment(*row)

    async def _check_segment(
        self, thread_id: str, digest: str, object_key: str | None, size: int, encoding: str, data: bytes | None, registered: str | None
    ) -> None:
        if object_key is not None and registered is None:
            self._report.dangling.append((thread_id, digest))
        if data is not None and self._deep:
            try:
                await asyncio.to_thread(unpacked, digest, size, encoding, data)
            except BlobCorrupt:
                self._report.corrupt.append(digest)

    async def check_objects(self) -> None:
        after = ""
        while True:
            rows = await self._all(self._prepared(sql.registered_objects), {"after": after, "page_size": _PAGE})
            if not rows:
                return
            after = rows[-1][0]
            # One that is pending may not be there yet, one that is being deleted not any more.
            await asyncio.gather(*[self._check_object(*row[:3]) for row in rows if row[3] in ("live", "condemned")])

    async def _check_object(self, key: str, digest: str, size: int) -> None:
        self._report.objects += 1
        self._report.object_bytes += size
        try:
            right = await self._size_of(key) == size
            if right and self._deep:
                right = await self._digest_of(key) == digest
        except BlobMissing:
            self._report.missing.append(key)
        else:
            if not right:
                self._report.corrupt.append(key)

    async def _size_of(self, key: str) -> int:
        size = await self._objects.backend.size(key)
        if size is None:
            raise BlobMissing(f"object {key} is not at {self._objects.backend.url}")
        return size

    async def _digest_of(self, key: str) -> str:
        # By way of a file, since an object may be larger than the memory.
        with tempfile.NamedTemporaryFile(prefix="ckptstore-") as file:
            await self._objects.backend.get_file(key, Path(file.name))
            return (await asyncio.to_thread(hash_file, Path(file.name)))[0]

    async def find_strays(self) -> None:
        async for page in _pages_of(self._objects.backend.entries()):
            parameters = sql.key_parameters(self._prepared.dialect.name, ("key",), [(entry.key,) for entry in page])
            known = {row[0] for row in await self._all(self._prepared(sql.registered_among), parameters)}
            suspects = [entry.key for entry in page if entry.key not in known]
            # One that a collector took in between has gone, row and all.
            self._report.strays += [key for key in suspects if await self._objects.backend.size(key) is not None]

    async def _all(self, statement: Prepared, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
        return await self._objects.read(partial(_run, statement, parameters))


def _run(statement: Prepared, parameters: dict[str, Any], connection: Connection) -> Sequence[Sequence[Any]]:
    return statement.run(connection, parameters).all()


async def _pages_of(entries: AsyncIterator[BlobEntry]) -> AsyncIterator[list[BlobEntry]]:
    page: list[BlobEntry] = []
    async for entry in entries:
        page.append(entry)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page
