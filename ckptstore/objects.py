"""Objects in the blob backend: registered before they are uploaded, shared by content, checked when they are fetched.

Everything here runs on one event loop of its own, which belongs to no caller.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from cachetools import LRUCache
from sqlalchemy import Connection

from ckptstore import statements as sql
from ckptstore.blobs import BlobBackend
from ckptstore.cache import FolderCache, MemoryCache
from ckptstore.database import Database
from ckptstore.engine import transaction
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable, InvalidConfig
from ckptstore.keys import digest_of, new_object_key, reference_to
from ckptstore.loops import LoopThread
from ckptstore.packing import Among, PackedUnit, Unit, assemble, cuts_of, in_rows, sort_segments, values_of
from ckptstore.prepared import StatementCache
from ckptstore.records import LoadedSegment, NewSegment
from ckptstore.segments import BLOB_BYTES, packed, unpacked

T = TypeVar("T")
Upload = Callable[[BlobBackend, str], Awaitable[None]]

logger = logging.getLogger(__name__)

_KNOWN_OBJECTS = 20_000
_CLOSED = "the saver is closed; build another one"


class Objects:
    """What a store keeps outside its database.

    Args:
        database: where objects are registered.
        prepared: its statements.
        open_backend: opens the backend, or None where large values stay in the database.
        memory: cache of what was read.
        folder: a second, larger one, or None.
    """

    def __init__(
        self,
        database: Database,
        prepared: StatementCache,
        open_backend: Callable[[], BlobBackend] | None,
        memory: MemoryCache,
        folder: FolderCache | None,
    ) -> None:
        self._database = database
        self._prepared = prepared
        self._open_backend = open_backend
        self._memory = memory
        self._folder = folder
        self._reset()
        reset = weakref.WeakMethod(self._reset)
        # A child of fork has neither the loop nor a right to its parent's connections.
        os.register_at_fork(after_in_child=lambda: (method := reset()) and method())

    def _reset(self) -> None:
        self._loop = LoopThread("ckptstore-blobs")
        self._backend: BlobBackend | None = None if self._open_backend is None else self._open_backend()
        #: Digest -> key of objects that this process has seen to be there. Touched on the loop only.
        self._seen: LRUCache[str, str] = LRUCache(_KNOWN_OBJECTS)
        self._under_way: dict[str, asyncio.Task[str]] = {}

    @property
    def backend(self) -> BlobBackend:
        """The backend.

        Raises:
            InvalidConfig: the store has none.
        """
        if self._backend is None:
            raise InvalidConfig("this saver keeps large values in its database; give it a blob_url")
        return self._backend

    @property
    def has_backend(self) -> bool:
        """Whether large values leave the database."""
        return self._backend is not None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run something on the loop that the backend belongs to."""
        return self._loop.run(coroutine)

    # --- in

    def pack(self, unit: Unit, among: Among) -> Future[PackedUnit]:
        """Pack a unit with large values: those that are new are uploaded.

        The future fails with:
            BlobUnavailable: the backend failed, nothing was written.
        """
        return self._loop.run(self._pack(unit, among))

    async def _pack(self, unit: Unit, among: Among) -> PackedUnit:
        cuts = await asyncio.to_thread(cuts_of, unit)
        known, pieces, lists = sort_segments(cuts, among)
        large = {digest: part for digest, part in pieces.items() if len(part) >= BLOB_BYTES and self._backend is not None}
        segments = await asyncio.to_thread(in_rows, {digest: part for digest, part in pieces.items() if digest not in large}, lists)
        whole = {digest: whole for one in cuts for digest, whole in one.whole_digests.items()}
        segments += await asyncio.gather(*[self._upload_segment(*item, whole[item[0]], unit.created_at) for item in large.items()])
        references = {reference_to(digest): digest for value in values_of(unit) for digest in value.references}
        known_references = among(references)
        for name in references.keys() - known_references:
            segments += await self._refer(name, references[name])
        return assemble(unit, cuts, segments, [*known, *sorted(known_references)])

    async def _upload_segment(self, digest: str, part: memoryview, whole_digest: str, moment: int) -> NewSegment:
        encoding, data = await asyncio.to_thread(packed, part)
        object_digest = whole_digest if encoding == "raw" else await asyncio.to_thread(digest_of, data)
        key = await self.place(object_digest, len(data), moment, lambda backend, key: backend.put(key, data))
        return NewSegment(digest, len(part), encoding, None, key)

    async def _refer(self, name: str, digest: str) -> list[NewSegment]:
        try:
            key, size = await self.find(digest)
        except BlobMissing:
            # Anybody may write such a text into a state: the write goes in, and who asks for the blob learns that there is none.
            logger.warning("a state holds a handle to no blob", extra={"event": "handle_dangling", "digest": digest})
            return []
        return [NewSegment(name, size, "raw", None, key)]

    async def place(self, digest: str, size: int, moment: int, upload: Upload) -> str:
        """The key of an object with some content: one that is there, or a new one. Callers with the same content share an upload."""
        task = self._under_way.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._find_or_upload(digest, size, moment, upload))
            self._under_way[digest] = task
            task.add_done_callback(lambda _: self._under_way.pop(digest, None))
        return await asyncio.shield(task)

    async def _find_or_upload(self, digest: str, size: int, moment: int, upload: Upload) -> str:
        key = self._seen.get(digest)
        if key is not None:
            return key
        for key, registered_size in await self._registered(digest):
            # The row may be older than a change of the backend's URL: what is not there is uploaded again.
            if registered_size == size and await self.backend.size(key) == size:
                self._seen[digest] = key
                return key
        return await self._upload_anew(digest, size, moment, upload)

    async def _upload_anew(self, digest: str, size: int, moment: int, upload: Upload) -> str:
        started = time.perf_counter()
        key = new_object_key(digest)
        row = (key, digest, size, moment, "pending", moment)
        # Registered before the upload: whatever a crash leaves behind is found from this row.
        await self.write(lambda connection: _register(connection, row, self._prepared))
        await upload(self.backend, key)
        self._seen[digest] = key
        seconds = time.perf_counter() - started
        logger.info(
            "uploaded %d bytes to %s in %.3f s", size, key, seconds,
            extra={"event": "blob_uploaded", "key": key, "bytes": size, "seconds": seconds},
        )  # fmt: skip
        return key

    def give_up(self, keys: Sequence[str]) -> Future[None]:
        """Objects turned out to be going: the next upload of their content is a new one.

        A collector may have deleted one before its upload ended: what arrived since is deleted here, as no row knows it.
        """
        return self._loop.run(self._give_up(keys))

    async def _give_up(self, keys: Sequence[str]) -> None:
        for digest in [digest for digest, key in self._seen.items() if key in keys]:
            del self._seen[digest]
        await asyncio.gather(*[self.delete(key) for key in keys])

    async def delete(self, key: str) -> bool:
        """Delete an object that is being deleted; False where the backend fails."""
        try:
            await self.backend.delete(key)
        except BlobUnavailable as exc:
            logger.warning("object %s could not be deleted: %s", key, exc, extra={"event": "delete_failed", "key": key})
            return False
        return True

    async def vouch(self, key: str, moment: int) -> bool:
        """Make an object live; False where it is being deleted."""
        parameters = {**sql.key_parameters(self._prepared.dialect.name, ("key",), [(key,)]), "moment": moment}

        def work(connection: Connection) -> bool:
            with transaction(connection):
                return bool(self._prepared(sql.vouch_for_objects).run(connection, parameters).all())

        return await self.write(work)

    # --- out

    def fetch(self, segments: Sequence[LoadedSegment]) -> Future[dict[str, bytes]]:
        """Segments that objects hold, by digest, whole and checked.

        The future fails with:
            BlobMissing: an object is not in the backend.
            BlobCorrupt: its bytes are not those that were stored.
            BlobUnavailable: the backend failed.
        """
        found = {segment.digest: self._memory.get(segment.digest) for segment in segments}
        here = {digest: data for digest, data in found.items() if data is not None}
        if len(here) == len(found):
            done: Future[dict[str, bytes]] = Future()
            done.set_result(here)
            return done
        return self._loop.run(self._fetch_all(here, [segment for segment in segments if segment.digest not in here]))

    async def _fetch_all(self, here: dict[str, bytes], wanted: Sequence[LoadedSegment]) -> dict[str, bytes]:
        fetched = await asyncio.gather(*[self.fetch_one(segment) for segment in wanted])
        return here | {segment.digest: data for segment, data in zip(wanted, fetched, strict=True)}

    async def fetch_one(self, segment: LoadedSegment) -> bytes:
        """One segment, from a cache or from the backend."""
        data = self._memory.get(segment.digest)
        if data is not None:
            return data
        data = await self._from_folder(segment)
        if data is None:
            assert segment.object_key is not None
            if self._backend is None:
                raise BlobMissing(f"object {segment.object_key}: this saver was given no blob_url; give it the one that has the blobs")
            raw = await self._backend.get(segment.object_key)
            try:
                data = await asyncio.to_thread(unpacked, segment.digest, segment.size, segment.encoding, raw)
            except BlobCorrupt as exc:
                raise BlobCorrupt(f"object {segment.object_key} at {self._backend.url} was truncated or altered: {exc}") from exc
            if self._folder is not None:
                await asyncio.to_thread(self._folder.put, segment.digest, data)
        self._memory.put(segment.digest, data)
        return data

    async def _from_folder(self, segment: LoadedSegment) -> bytes | None:
        if self._folder is None:
            return None
        data = await asyncio.to_thread(self._folder.get, segment.digest)
        if data is None:
            return None
        try:
            return await asyncio.to_thread(unpacked, segment.digest, segment.size, "raw", data)
        except BlobCorrupt:
            logger.warning("a file of the blob cache was altered", extra={"event": "cache_corrupt", "digest": segment.digest})
            self._folder.drop(segment.digest)
            return None

    async def find(self, digest: str) -> tuple[str, int]:
        """Key and size of an object with some content (hexadecimal digest).

        Raises:
            BlobMissing: there is none, or it is being deleted.
        """
        found = await self._registered(digest)
        if not found:
            raise BlobMissing(f"blob {digest[:12]}... is not registered in this store: it was never put here, or was collected since")
        return found[0]

    # --- the database, from this loop

    async def _registered(self, digest: str) -> Sequence[tuple[str, int]]:
        rows = await self.read(lambda connection: self._prepared(sql.objects_with_digest).run(connection, {"digest": digest}).all())
        return [(row[0], row[1]) for row in rows]

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run work that reads the database."""
        return await asyncio.wrap_future(self._database.read(work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run work that writes to the database."""
        return await asyncio.wrap_future(self._database.write(work))

    def close(self) -> None:
        """Let what is under way end, and close the backend. Blocks."""
        self._loop.close(_CLOSED, self._close_backend())

    async def _close_backend(self) -> None:
        if self._backend is not None:
            await self._backend.close()


def _register(connection: Connection, row: tuple[Any, ...], prepared: StatementCache) -> None:
    statement = prepared(sql.insert_rows, sql.OBJECT, "keep")
    if prepared.on_sqlite:
        statement.run_many(connection, [row])
    else:
        statement.run(connection, sql.row_parameters(sql.OBJECT, [row]))
