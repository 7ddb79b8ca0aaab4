"""The objects in blob storage: each is registered in the database before its upload, and shared by all that have the same content.

Everything here runs on one event loop of its own, which belongs to no caller.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cachetools import LRUCache
from sqlalchemy import ClauseElement

from ckptstore.blobs.backends.local import is_local
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.location import BlobLocation
from ckptstore.blobs.registered import RegisteredObject, registered_objects
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.errors import BlobMissing, BlobUnavailable, InvalidConfig
from ckptstore.runtime.fork import abandon, in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.wakeups import settled
from ckptstore.values.digests import new_object_key

T = TypeVar("T")
Upload = Callable[[BlobBackend, str], Awaitable[None]]

logger = logging.getLogger(__name__)

_MAX_SEEN_OBJECTS = 20_000


class _SeenObject(NamedTuple):
    """An object that was in the backend, with its full size."""

    digest: str
    size: int
    #: When it was last seen there, by the monotonic clock.
    seen_at: float


class ObjectRegistry:
    """The objects of a store, which are outside its database.

    Args:
        runner: of the database in which objects are registered.
        open_backend: opens the backend, or None if large values are stored in the database.
        recheck_seconds: see `BlobSettings.recheck_seconds`.
    """

    def __init__(self, runner: Runner, open_backend: Callable[[], BlobBackend] | None, recheck_seconds: float) -> None:
        self.runner = runner
        self._open_backend = open_backend
        self._recheck_seconds = recheck_seconds
        self._start()
        # A child of fork does not have the loop, and must not use its parent's connections.
        in_child(self._start_again)

    def _start_again(self) -> None:
        abandon((self._loop, self._backend))
        self._start()

    def _start(self) -> None:
        self._loop = LoopThread("ckptstore-blobs")
        self._backend: BlobBackend | None = None if self._open_backend is None else self._open_backend()
        self.location = BlobLocation(self.runner.url, None if self._backend is None else self._backend.url)
        #: The objects that this process has seen in the backend, by key, and the keys by digest. Touched on the loop only.
        self._seen: LRUCache[str, _SeenObject] = LRUCache(_MAX_SEEN_OBJECTS)
        self._seen_keys: LRUCache[str, str] = LRUCache(_MAX_SEEN_OBJECTS)
        self._uploads: dict[str, asyncio.Task[str]] = {}

    @property
    def has_backend(self) -> bool:
        """Whether large values are stored outside the database."""
        return self._backend is not None

    @property
    def backend(self) -> BlobBackend:
        """The backend; raises like `require_backend`."""
        self.require_backend()
        assert self._backend is not None
        return self._backend

    def require_backend(self) -> None:
        """Return if there is a backend.

        Raises:
            InvalidConfig: there is none; large values are stored in the database.
        """
        if self._backend is None:
            raise InvalidConfig("this saver keeps large values in its database; give it a blob_url")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop that the backend belongs to."""
        return self._loop.run(coroutine)

    # --- storing

    async def ensure_uploaded(self, digest: str, size: int, created_at: int, upload: Upload) -> str:
        """The key of an object with this content, which is uploaded if none exists. Callers with the same content share an upload.

        Args:
            digest: SHA-256 of the content, in hexadecimal.
            size: bytes of the content.
            created_at: of an object that is registered now (microseconds since 1970, UTC).
            upload: puts the content under a key of a backend.
        """
        task = self._uploads.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._find_or_upload(digest, size, created_at, upload))
            self._uploads[digest] = task
            task.add_done_callback(lambda _: self._uploads.pop(digest, None))
        return await asyncio.shield(task)

    async def is_there(self, key: str) -> bool:
        """Whether an object that this process has seen is still in the backend with its full size; False for any other object.

        A local file is looked at each time, a remote object if it was last seen longer than `recheck_seconds` ago.
        """
        seen = self._seen.get(key)
        if seen is None:
            return False
        if time.monotonic() - seen.seen_at < self._recheck_seconds and not is_local(self.backend):
            return True
        return await self._is_whole(RegisteredObject(key, seen.size), seen.digest)

    def _saw(self, key: str, digest: str, size: int) -> None:
        self._seen[key] = _SeenObject(digest, size, time.monotonic())
        self._seen_keys[digest] = key

    async def _find_or_upload(self, digest: str, size: int, created_at: int, upload: Upload) -> str:
        key = self._seen_keys.get(digest)
        if key is not None and await self.is_there(key):
            return key
        registered = (await self._registered([digest])).get(digest, [])
        for found in registered:
            if await self._is_whole(found, digest):
                return found.key
        restored = [lost.key for lost in registered if await self._restore(lost, digest, created_at, upload)]
        return restored[0] if restored else await self._register_and_upload(digest, size, created_at, upload)

    async def _restore(self, lost: RegisteredObject, digest: str, created_at: int, upload: Upload) -> bool:
        """Upload the content of an object that is lost or truncated again; False if it is being deleted.

        It gets its own key again: every thread that refers to it reads again, and a saver with a wrong blob URL takes it away from nobody.
        Only what is `deleting` is ever deleted, and never live again. Confirmed before the upload, it has a new grace period.
        """
        if not await self.confirm_live(lost.key, created_at):
            return False
        await upload(self.backend, lost.key)
        self._saw(lost.key, digest, lost.size)
        extra = {"event": "blob_restored", "key": lost.key, "bytes": lost.size}
        logger.warning("object %s was missing or truncated at %s, and is stored again", lost.key, self.backend.url, extra=extra)
        return True

    async def _register_and_upload(self, digest: str, size: int, created_at: int, upload: Upload) -> str:
        started = time.perf_counter()
        key = new_object_key(digest)
        row = (key, digest, size, created_at, "pending", created_at)
        # Registered before the upload: the collector finds what a crash leaves behind by this row.
        await self.write(partial(Db.insert, table=sql.tables.OBJECT, conflict="keep", rows=[row]))
        await upload(self.backend, key)
        self._saw(key, digest, size)
        await self.location.note_upload(self)
        seconds = time.perf_counter() - started
        extra = {"event": "blob_uploaded", "key": key, "bytes": size, "seconds": seconds}
        logger.info("uploaded %d bytes to %s in %.3f s", size, key, seconds, extra=extra)
        return key

    def forget_soon(self, keys: Sequence[str]) -> None:
        """Like `forget`, from any worker thread and without waiting: writes that are encoded afterwards upload them again."""
        if keys:
            self._loop.run(self.forget(keys))

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget objects that turned out to be deleted, or about to be.

        A collector may have deleted an object before its upload ended. What was uploaded afterwards is deleted here: it has no row.
        """
        self._forget_seen(keys)
        await asyncio.gather(*[self.delete(key) for key in keys])

    async def delete(self, key: str) -> bool:
        """Delete an object in state `deleting`; False if the backend fails."""
        try:
            await self.backend.delete(key)
        except BlobUnavailable as exc:
            logger.warning("object %s could not be deleted: %s", key, exc, extra={"event": "delete_failed", "key": key})
            return False
        return True

    async def confirm_live(self, key: str, now: int) -> bool:
        """Confirm that an object is in use now (microseconds since 1970, UTC); False if it is being deleted."""

        def work(db: Db) -> bool:
            with db.transaction():
                return bool(db.run(sql.objects.confirm_live, {**db.object_keys([key]), "now": now}).all())

        return await self.write(work)

    # --- reading

    async def find(self, digest: str) -> RegisteredObject:
        """An object with this content: one that is in the backend with its full size, if there is one.

        Args:
            digest: SHA-256 of the content, in hexadecimal.

        Raises:
            BlobMissing: none is registered.
        """
        found = (await self.find_all([digest])).get(digest)
        if found is None:
            raise BlobMissing(f"blob {digest[:12]}... is not registered in this store: it was never put here, or was collected since")
        return found

    async def find_all(self, digests: Sequence[str]) -> dict[str, RegisteredObject]:
        """For each of some digests that is registered what `find` returns, looked up by one statement."""
        found = await self._registered(digests)
        return {digest: await self._first_whole(digest, objects) for digest, objects in found.items()}

    async def _first_whole(self, digest: str, registered: Sequence[RegisteredObject]) -> RegisteredObject:
        for found in registered:
            if found.key in self._seen or await self._is_whole(found, digest):
                return found
        # If none is whole, reading one reports what is wrong with it.
        return registered[0]

    async def _registered(self, digests: Sequence[str]) -> dict[str, list[RegisteredObject]]:
        return await self.read(partial(registered_objects, digests=digests))

    async def _is_whole(self, found: RegisteredObject, digest: str) -> bool:
        """Whether an object is in the backend with its full size."""
        is_whole = await self.backend.size(found.key) == found.size
        if is_whole:
            self._saw(found.key, digest, found.size)
        else:
            self._forget_seen([found.key])
        return is_whole

    async def content(self, key: str, max_bytes: int) -> bytes:
        """An object's content, unchecked, which has `max_bytes` or less."""
        with self._forgetting_lost(key):
            return await self.backend.get(key, max_bytes)

    async def copy_to(self, key: str, path: Path, max_bytes: int) -> None:
        """Write an object's content to a file, unchecked, which has `max_bytes` or less."""
        with self._forgetting_lost(key):
            await self.backend.get_file(key, path, max_bytes)

    @contextmanager
    def _forgetting_lost(self, key: str) -> Iterator[None]:
        """If the object turns out to be lost, forget that it was seen, so that it is looked up and uploaded again."""
        try:
            yield
        except BlobMissing as exc:
            self._forget_seen([key])
            if self.location.is_elsewhere:
                raise BlobMissing(f"{exc}; {self.location.explanation}") from exc
            raise

    def _forget_seen(self, keys: Sequence[str]) -> None:
        for key in keys:
            if (seen := self._seen.pop(key, None)) is not None and self._seen_keys.get(seen.digest) == key:
                del self._seen_keys[seen.digest]

    # --- the database, from this loop

    async def read(self, work: Callable[[Db], T]) -> T:
        """Run work that reads the database."""
        return await settled(self.runner.read(work))

    async def rows(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> Sequence[Any]:
        """All rows of a statement that reads the database, see `Db.run`."""
        return await self.read(lambda db: db.run(build, parameters, *args).all())

    async def scan(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> Sequence[Any]:
        """Like `rows`, for a statement that may take long."""
        return await self.read(lambda db: db.scan(build, parameters, *args))

    async def write(self, work: Callable[[Db], T]) -> T:
        """Run work that writes to the database."""
        return await settled(self.runner.write(work))

    def close(self, seconds: float) -> None:
        """Finish what is running, and close the backend. Blocks; after so many seconds what still runs is cancelled."""
        self._loop.close(self._close_backend(), seconds)

    async def _close_backend(self) -> None:
        if self._backend is not None:
            await self._backend.close()
