"""The objects that transferred rows refer to: they stay where they are, are copied, or move into the database.

Objects that are in the source's database are always copied.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from ckptstore.blobs.backends.database import is_in_database
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import OBJECT, SEGMENT, Row, SegmentCells
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable, InvalidConfig
from ckptstore.runtime.temporary_files import temporary_path
from ckptstore.runtime.wakeups import settled
from ckptstore.transfer.options import BlobMode
from ckptstore.transfer.parcel import Parcel
from ckptstore.transfer.spool import Spool
from ckptstore.values.digests import digest_of, hash_file

_PARALLEL = 8
_KEYS_PER_READ = 500


class _Object(NamedTuple):
    key: str
    #: SHA-256 in hexadecimal.
    digest: str
    size: int
    created_at: int
    state: str
    changed_at: int


class ObjectTransfer:
    """Brings the objects of parcels to the target, on the loop of the target's registry.

    Args:
        source: the registry of the source's objects.
        target: that of the target's.
        mode: None to keep them where both stores have the same blob URL, and to copy them otherwise.

    Raises:
        InvalidConfig: `keep`, and the two have different blob URLs.
    """

    def __init__(self, source: ObjectRegistry, target: ObjectRegistry, mode: BlobMode | None) -> None:
        same = source.location.url is not None and source.location.url == target.location.url
        if mode == "keep" and not same:
            raise InvalidConfig(
                f"blobs can be kept only where both sides have the same blob URL; the source has {source.location.url or 'none'}, "
                f"the target {target.location.url or 'none'}: give both the same one, or copy the blobs (--blobs copy)"
            )
        self.keeps = mode == "keep" or (mode is None and same)
        self._source, self._target = source, target
        #: Objects that were copied, and their bytes.
        self.copied = self.copied_bytes = 0

    async def bring(self, parcel: Parcel, now: int) -> None:
        """Make the objects that a parcel refers to the target's.

        Raises:
            BlobMissing: one is not registered at the source, or lost.
            BlobCorrupt: one was altered.
            CheckpointTooLarge: a file that was stored by handle is too large for the target's database.
        """
        if not parcel.object_keys:
            return
        found = await self._registered(sorted(parcel.object_keys))
        if self.keeps:
            await self._keep(parcel, found, now)
        elif self._target.has_backend:
            await self._copy(parcel, found, now)
        else:
            await self._into_rows(parcel, found, now)

    async def bring_unreferenced(self, now: int) -> None:
        """Make the live objects of the source the target's that no row refers to: their handles may be stored any moment."""
        after = ""
        while page := await self._source.read(partial(_live_objects, after=after)):
            after = page[-1].key
            if self.keeps:
                rows = [(*each[:4], "live", now) for each in page if not is_in_database(each.key)]
                await self._target.write(partial(_register, rows=rows))
            # A large value that a backend has may be one of them: a target without a backend does without.
            copied = [each for each in page if is_in_database(each.key) or (not self.keeps and self._target.has_backend)]
            for start in range(0, len(copied), _PARALLEL):
                await asyncio.gather(*[self._copy_unreferenced(each, now) for each in copied[start : start + _PARALLEL]])

    async def _registered(self, keys: Sequence[str]) -> dict[str, _Object]:
        found: dict[str, _Object] = {}
        for start in range(0, len(keys), _KEYS_PER_READ):
            part = keys[start : start + _KEYS_PER_READ]
            rows = await self._source.read(partial(_objects, keys=part))
            found |= {each.key: each for each in rows}
        if missing := set(keys) - found.keys():
            raise BlobMissing(
                f"{len(missing)} blobs of the source are not registered there, for example {min(missing)}; run: ckptstore blobs verify"
            )
        return found

    async def _keep(self, parcel: Parcel, found: Mapping[str, _Object], now: int) -> None:
        inside = {key: each for key, each in found.items() if is_in_database(key)}
        for key, each in found.items():
            if key not in inside:
                parcel.objects.append((*each[:4], "live", now))
        if len(inside) < len(found):
            await self._target.location.note_upload(self._target)
        if inside:
            await self._copy(parcel, inside, now)

    async def _copy(self, parcel: Parcel, found: Mapping[str, _Object], now: int) -> None:
        new_keys: dict[str, str] = {}
        objects = list(found.values())
        for start in range(0, len(objects), _PARALLEL):
            part = objects[start : start + _PARALLEL]
            keys = await asyncio.gather(*[self._copy_one(each, now) for each in part])
            new_keys |= {each.key: key for each, key in zip(part, keys, strict=True)}
        spool = Spool()
        for kind, rows in parcel.spool.pages():
            for row in rows:
                new_row = row
                if kind == SEGMENT.name and (key := SegmentCells(*row).object_key) in new_keys:
                    new_row = tuple(SegmentCells(*row)._replace(object_key=new_keys[key]))
                spool.add(kind, new_row, _bytes_of(row))
        _exchange(parcel, spool)
        parcel.object_keys = {new_keys.get(key, key) for key in parcel.object_keys}

    async def _copy_unreferenced(self, found: _Object, now: int) -> None:
        key = await self._copy_one(found, now)
        if not await self._target.confirm_live(key, now):
            raise BlobUnavailable(f"object {key} was collected at the target while it was copied; run it again")

    async def _copy_one(self, found: _Object, now: int) -> str:
        async def upload(backend: BlobBackend, key: str) -> None:
            with temporary_path() as path:
                await settled(self._source.run(self._source.copy_to(found.key, path, found.size)))
                digest, _ = await asyncio.to_thread(hash_file, path)
                self._check(found, digest)
                await backend.put_file(key, path)
            self.copied += 1
            self.copied_bytes += found.size

        return await self._target.ensure_uploaded(found.digest, found.size, now, upload, in_database=self.keeps)

    async def _into_rows(self, parcel: Parcel, found: Mapping[str, _Object], now: int) -> None:
        spool, kept = Spool(), set[str]()
        for kind, rows in parcel.spool.pages():
            for row in rows:
                new_row = row
                if kind == SEGMENT.name and (key := SegmentCells(*row).object_key) is not None:
                    new_row = await self._with_content(SegmentCells(*row), found[key], now)
                    if new_row.object_key is not None:
                        kept.add(new_row.object_key)
                spool.add(kind, new_row, _bytes_of(new_row))
        _exchange(parcel, spool)
        parcel.object_keys = kept

    async def _with_content(self, segment: SegmentCells, found: _Object, now: int) -> SegmentCells:
        if segment.digest.startswith("@"):
            # A file that was stored by handle stays one.
            return segment._replace(object_key=await self._copy_one(found, now))
        content = await settled(self._source.run(self._source.content(found.key, found.size)))
        self._check(found, await asyncio.to_thread(digest_of, content))
        return segment._replace(data=content, object_key=None)

    def _check(self, found: _Object, digest: str) -> None:
        if digest != found.digest:
            raise BlobCorrupt(f"object {found.key} at {self._source.location.url} was truncated or altered; restore it from a backup")


def _objects(db: Db, keys: Sequence[str]) -> list[_Object]:
    return [_Object(*row) for row in db.run(sql.transfer.given_objects, db.object_keys(keys))]


def _live_objects(db: Db, after: str) -> list[_Object]:
    while rows := db.scan(sql.transfer.unreferenced_objects, {"after": after, "page_size": _KEYS_PER_READ}):
        page = [_Object(*row) for row in rows]
        if db.abilities.database.joins_threads:
            return page
        keys = db.object_keys(found.key for found in page)
        referred_to = {key for (key,) in db.scan(sql.objects.referred_to_objects, keys)}
        if unreferenced := [found for found in page if found.key not in referred_to]:
            return unreferenced
        after = page[-1].key
    return []


def _register(db: Db, rows: Sequence[Row]) -> None:
    db.insert(OBJECT, "keep", rows)


def _bytes_of(row: Row) -> int:
    return sum(len(cell) for cell in row if isinstance(cell, bytes))


def _exchange(parcel: Parcel, spool: Spool) -> None:
    spool.end()
    parcel.spool.close()
    parcel.spool = spool
