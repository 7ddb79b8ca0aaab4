"""ObjectRegistry in the blob backend: registered before they are uploaded, shared by content.

Everything here runs on one event loop of its own, which belongs to no caller.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from cachetools import LRUCache
from sqlalchemy import ClauseElement

from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.db.runner import Runner
from ckptstore.errors import BlobMissing, BlobUnavailable, InvalidConfig
from ckptstore.records import NewSegment
from ckptstore.runtime.fork import abandon, in_child
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.values.chunking import BLOB_BYTES, ChunkedValue
from ckptstore.values.compression import compress
from ckptstore.values.digests import blob_reference, digest_of, new_object_key
from ckptstore.values.encode import Among, EncodedWrite, KnownSegments, Unit, assemble, cuts_of, in_rows, part_segments, values_of

T = TypeVar("T")
Upload = Callable[[BlobBackend, str], Awaitable[None]]

logger = logging.getLogger(__name__)

_KNOWN_OBJECTS = 20_000


class ObjectRegistry:
    """What a store keeps outside its database.

    Args:
        runner: of the database, where objects are registered.
        open_backend: opens the backend, or None where large values stay in the runner.
        known: which segments threads have.
    """

    def __init__(
        self,
        runner: Runner,
        open_backend: Callable[[], BlobBackend] | None,
        known: KnownSegments,
    ) -> None:
        self._known = known
        self._runner = runner
        self._open_backend = open_backend
        self._start()
        # A child of fork has neither the loop nor a right to its parent's connections.
        in_child(self._start_again)

    def _start_again(self) -> None:
        abandon((self._loop, self._backend))
        self._start()

    def _start(self) -> None:
        self._loop = LoopThread("ckptstore-blobs")
        self._backend: BlobBackend | None = None if self._open_backend is None else self._open_backend()
        #: Digest -> key of objects that this process has seen to be there. Touched on the loop only.
        self._seen: LRUCache[str, str] = LRUCache(_KNOWN_OBJECTS)
        self._under_way: dict[str, asyncio.Task[str]] = {}

    @property
    def has_backend(self) -> bool:
        """Whether large values leave the database."""
        return self._backend is not None

    @property
    def backend(self) -> BlobBackend:
        """The backend; raises as `require_backend`."""
        self.require_backend()
        assert self._backend is not None
        return self._backend

    def require_backend(self) -> None:
        """Return if there is a backend.

        Raises:
            InvalidConfig: large values stay in the runner.
        """
        if self._backend is None:
            raise InvalidConfig("this saver keeps large values in its database; give it a blob_url")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run something on the loop that the backend belongs to."""
        return self._loop.run(coroutine)

    # --- in

    def pack(self, unit: Unit, among: Among, cuts: Sequence[ChunkedValue] | None = None) -> Future[EncodedWrite]:
        """Pack a unit with large parts: those that are new are uploaded.

        Args:
            unit: what is to be written.
            among: of some digests, those of segments that the unit's thread has.
            cuts: of its values, in order; None where they are still to be cut.

        The future fails with:
            BlobUnavailable: the backend failed, nothing was written.
        """
        return self._loop.run(self._pack(unit, cuts, among))

    def serialise_and_pack(self, encode: Callable[[], Unit], among: Among) -> Future[EncodedWrite]:
        """Pack a unit that takes long to make: it is made on another thread, so that the caller's loop goes on.

        The future fails as that of `pack`, or with what `encode` raises.
        """
        return self._loop.run(self._serialise_and_pack(encode, among))

    async def _serialise_and_pack(self, encode: Callable[[], Unit], among: Among) -> EncodedWrite:
        return await self._pack(await asyncio.to_thread(encode), None, among)

    async def _pack(self, unit: Unit, cuts: Sequence[ChunkedValue] | None, among: Among) -> EncodedWrite:
        if cuts is None:
            cuts = await asyncio.to_thread(cuts_of, unit)
        known, pieces, lists = part_segments(cuts, among)
        large = {digest: part for digest, part in pieces.items() if len(part) >= BLOB_BYTES and self._backend is not None}
        segments = await asyncio.to_thread(in_rows, {digest: part for digest, part in pieces.items() if digest not in large}, lists)
        whole = {digest: whole for one in cuts for digest, whole in one.whole_digests.items()}
        segments += await asyncio.gather(*[self._upload_segment(*item, whole[item[0]], unit.created_at) for item in large.items()])
        references = {blob_reference(digest): digest for value in values_of(unit) for digest in value.blob_digests}
        known_references = among(references)
        for name in references.keys() - known_references:
            segments += await self._refer(name, references[name])
        return assemble(unit, cuts, segments, [*known, *sorted(known_references)])

    async def _upload_segment(self, digest: str, part: memoryview, whole_digest: str, moment: int) -> NewSegment:
        encoding, data = await asyncio.to_thread(compress, part)
        object_digest = whole_digest if encoding == "raw" else await asyncio.to_thread(digest_of, data)
        key = await self.ensure_uploaded(object_digest, len(data), moment, lambda backend, key: backend.put(key, data))
        return NewSegment(digest, len(part), encoding, None, key)

    async def _refer(self, name: str, digest: str) -> list[NewSegment]:
        try:
            key, size = await self.find(digest)
        except BlobMissing:
            # Anybody may write such a text into a state: the write goes in, and who asks for the blob learns that there is none.
            logger.warning("a state holds a handle to no blob", extra={"event": "handle_dangling", "digest": digest})
            return []
        return [NewSegment(name, size, "raw", None, key)]

    async def ensure_uploaded(self, digest: str, size: int, moment: int, upload: Upload) -> str:
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
        # A row may be older than a change of the backend's URL: what is not there is uploaded again.
        found, registered = await self._look_for(digest)
        if found is not None:
            return found[0]
        if registered:
            # Threads that refer to a lost object have to be told of the new one.
            self._known.forget_everywhere(blob_reference(digest))
        return await self._upload_anew(digest, size, moment, upload)

    async def _upload_anew(self, digest: str, size: int, moment: int, upload: Upload) -> str:
        started = time.perf_counter()
        key = new_object_key(digest)
        row = (key, digest, size, moment, "pending", moment)
        # Registered before the upload: whatever a crash leaves behind is found from this row.
        await self.write(lambda db: db.insert(sql.tables.OBJECT, "keep", [row]))
        await upload(self.backend, key)
        self._seen[digest] = key
        seconds = time.perf_counter() - started
        logger.info(
            "uploaded %d bytes to %s in %.3f s", size, key, seconds,
            extra={"event": "blob_uploaded", "key": key, "bytes": size, "seconds": seconds},
        )  # fmt: skip
        return key

    def give_up(self, keys: Sequence[str]) -> None:
        """ObjectRegistry turned out to be going: what is packed from here on is uploaded anew."""
        if keys:
            self._loop.run(self.forget(keys))

    async def forget(self, keys: Sequence[str]) -> None:
        """The same, on the loop.

        A collector may have deleted an object before its upload ended: what arrived since is deleted, as no row knows it.
        """
        self._unsee(keys)
        await asyncio.gather(*[self.delete(key) for key in keys])

    async def delete(self, key: str) -> bool:
        """Delete an object that is being deleted; False where the backend fails."""
        try:
            await self.backend.delete(key)
        except BlobUnavailable as exc:
            logger.warning("object %s could not be deleted: %s", key, exc, extra={"event": "delete_failed", "key": key})
            return False
        return True

    async def confirm_live(self, key: str, moment: int) -> bool:
        """Make an object live; False where it is being deleted."""

        def work(db: Db) -> bool:
            with db.transaction():
                return bool(db.run(sql.objects.confirm_live, {**db.object_keys([key]), "moment": moment}).all())

        return await self.write(work)

    # --- out

    async def find(self, digest: str) -> tuple[str, int]:
        """Key and size of an object with some content (hexadecimal digest): one that is there, if any is.

        Raises:
            BlobMissing: none is registered.
        """
        whole, registered = await self._look_for(digest)
        if not registered:
            raise BlobMissing(f"blob {digest[:12]}... is not registered in this store: it was never put here, or was collected since")
        # Where none is whole, reading one says what is wrong with it.
        return whole or registered[0]

    async def _look_for(self, digest: str) -> tuple[tuple[str, int] | None, list[tuple[str, int]]]:
        """Key and size of an object with some content that is there and has its size, and of all that are registered."""
        known = self._seen.get(digest)
        rows = await self.rows(sql.objects.objects_with_digest, {"digest": digest})
        registered = [(row[0], row[1]) for row in rows]
        for key, size in registered:
            if key == known or await self.backend.size(key) == size:
                self._seen[digest] = key
                return (key, size), registered
        return None, registered

    async def content(self, key: str) -> bytes:
        """An object's content, unchecked."""
        with self._noticing_loss(key):
            return await self.backend.get(key)

    async def copy_to(self, key: str, path: Path) -> None:
        """Write an object's content to a file, unchecked."""
        with self._noticing_loss(key):
            await self.backend.get_file(key, path)

    @contextmanager
    def _noticing_loss(self, key: str) -> Iterator[None]:
        """An object that turns out to be lost is looked for, and uploaded, anew from here on."""
        try:
            yield
        except BlobMissing:
            self._unsee([key])
            raise

    def _unsee(self, keys: Sequence[str]) -> None:
        for digest in [digest for digest, key in self._seen.items() if key in keys]:
            del self._seen[digest]

    # --- the database, from this loop

    async def read(self, work: Callable[[Db], T]) -> T:
        """Run work that reads the database."""
        return await asyncio.wrap_future(self._runner.read(work))

    async def rows(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> Sequence[Sequence[Any]]:
        """What a statement that reads the database answers, whole."""
        return await self.read(lambda db: db.run(build, parameters, *args).all())

    async def write(self, work: Callable[[Db], T]) -> T:
        """Run work that writes to the database."""
        return await asyncio.wrap_future(self._runner.write(work))

    def close(self) -> None:
        """Let what is under way end, and close the backend. Blocks."""
        self._loop.close(self._close_backend())

    async def _close_backend(self) -> None:
        if self._backend is not None:
            await self._backend.close()
