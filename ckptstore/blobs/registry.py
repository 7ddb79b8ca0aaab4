"""The objects of a store: each is registered in the database before its upload, and shared by all that have the same content.

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
from typing import Any, TypeVar

from sqlalchemy import ClauseElement

from ckptstore.blobs.backends.database import FOLDER, DatabaseBackend, RoutedBackend, is_in_database
from ckptstore.blobs.backends.local import is_local
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.location import BlobLocation
from ckptstore.blobs.registered import RegisteredObject, registered_objects
from ckptstore.blobs.seen_objects import SeenObjects
from ckptstore.blobs.settings import BlobSettings
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.db.turns import LockTurns
from ckptstore.errors import BlobMissing, BlobUnavailable, CheckpointTooLarge, InvalidConfig
from ckptstore.runtime.fork import abandon, in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.wakeups import settled
from ckptstore.values.digests import new_object_key

T = TypeVar("T")
Upload = Callable[[BlobBackend, str], Awaitable[None]]

logger = logging.getLogger(__name__)
_MEGABYTE = 1_000_000


class ObjectRegistry:
    """The objects of a store, which are outside its database; without a backend, its files are in the database.

    Args:
        runner: of the database in which objects are registered.
        open_backend: opens the backend, or None if large values are stored in the database.
        settings: when objects are looked for again, and how large a file in the database may be.
    """

    def __init__(self, runner: Runner, open_backend: Callable[[], BlobBackend] | None, settings: BlobSettings) -> None:
        self.runner = runner
        self._open_backend = open_backend
        self._settings = settings
        self.leaf_room = settings.leaf_room(has_backend=open_backend is not None)
        self.turns = LockTurns(runner.url)
        self._start()
        # A child of fork does not have the loop, and must not use its parent's connections.
        in_child(self._start_again)

    def _start_again(self) -> None:
        abandon((self._loop, self._backend))
        self._start()

    def _start(self) -> None:
        self._loop = LoopThread("ckptstore-blobs")
        outside = None if self._open_backend is None else self._open_backend()
        self._backend: BlobBackend = RoutedBackend(DatabaseBackend(self.runner), outside)
        self.location = BlobLocation(self.runner.url, None if outside is None else outside.url)
        #: Touched on the loop only.
        self._seen = SeenObjects()
        self._uploads: dict[str, asyncio.Task[str]] = {}

    @property
    def has_backend(self) -> bool:
        """Whether large values are stored outside the database."""
        return self._open_backend is not None

    @property
    def backend(self) -> BlobBackend:
        """Where the objects are: the backend, and for some keys the database."""
        return self._backend

    def reaches(self, key: str) -> bool:
        """Whether an object with this key can be read and deleted: it is in the database, or there is a backend."""
        return self.has_backend or is_in_database(key)

    def require_backend(self) -> None:
        """Return if there is a backend.

        Raises:
            InvalidConfig: there is none; large values are stored in the database.
        """
        if not self.has_backend:
            raise InvalidConfig("this saver keeps large values in its database; give it a blob_url")

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the loop that the backend belongs to."""
        return self._loop.run(coroutine)

    # --- storing

    async def ensure_uploaded(self, digest: str, size: int, created_at: int, upload: Upload, *, in_database: bool = False) -> str:
        """The key of an object with this content, which is uploaded if none exists. Callers with the same content share an upload.

        Args:
            digest: SHA-256 of the content, in hexadecimal.
            size: bytes of the content.
            created_at: of an object that is registered now (microseconds since 1970, UTC).
            upload: puts the content under a key of a backend.
            in_database: store it in the database, although there is a backend.

        Raises:
            CheckpointTooLarge: it would be stored in the database, and is larger than `BlobSettings.database_bytes`.
        """
        task = self._uploads.get(digest)
        if task is None:
            task = asyncio.ensure_future(self._find_or_upload(digest, size, created_at, upload, in_database or not self.has_backend))
            self._uploads[digest] = task
            task.add_done_callback(lambda _: self._uploads.pop(digest, None))
        return await asyncio.shield(task)

    async def is_there(self, key: str) -> bool:
        """Whether an object that this process has seen is still in the backend with its full size; False for any other object.

        A local file and a row are looked at each time, a remote object if it was last seen longer than `recheck_seconds` ago.
        """
        seen = self._seen.get(key)
        if seen is None:
            return False
        is_near = is_in_database(key) or is_local(self.backend)
        if not is_near and time.monotonic() - seen.seen_at < self._settings.recheck_seconds:
            return True
        return await self._is_whole(RegisteredObject(key, seen.size), seen.digest)

    async def _find_or_upload(self, digest: str, size: int, created_at: int, upload: Upload, in_database: bool) -> str:
        key = self._seen.key_of(digest)
        if key is not None and await self.is_there(key):
            return key
        registered = [each for each in (await self._registered([digest])).get(digest, []) if self.reaches(each.key)]
        for found in registered:
            if await self._is_whole(found, digest):
                return found.key
        restored = [lost.key for lost in registered if await self._restore(lost, digest, created_at, upload)]
        return restored[0] if restored else await self._register_and_upload(digest, size, created_at, upload, in_database)

    async def _restore(self, lost: RegisteredObject, digest: str, created_at: int, upload: Upload) -> bool:
        """Upload the content of an object that is lost or truncated again; False if it is being deleted.

        It gets its own key again: every thread that refers to it reads again, and a saver with a wrong blob URL takes it away from nobody.
        Only what is `deleting` is ever deleted, and never live again. Confirmed before the upload, it has a new grace period.
        """
        if not await self.confirm_live(lost.key, created_at):
            return False
        await upload(self.backend, lost.key)
        self._seen.add(lost.key, digest, lost.size)
        extra = {"event": "blob_restored", "key": lost.key, "bytes": lost.size}
        logger.warning("object %s was missing or truncated at %s, and is stored again", lost.key, self.backend.url, extra=extra)
        return True

    async def _register_and_upload(self, digest: str, size: int, created_at: int, upload: Upload, in_database: bool) -> str:
        started = time.perf_counter()
        if in_database:
            self._check_size(size)
        key = new_object_key(digest, FOLDER if in_database else None)
        row = (key, digest, size, created_at, "pending", created_at)
        # Registered before the upload: the collector finds what a crash leaves behind by this row.
        await self.write(partial(Db.insert, table=sql.tables.OBJECT, conflict="keep", rows=[row]))
        await upload(self.backend, key)
        self._seen.add(key, digest, size)
        if not in_database:
            await self.location.note_upload(self)
        seconds = time.perf_counter() - started
        extra = {"event": "blob_uploaded", "key": key, "bytes": size, "seconds": seconds}
        logger.info("uploaded %d bytes to %s in %.3f s", size, key, seconds, extra=extra)
        return key

    def _check_size(self, size: int) -> None:
        bound = self._settings.database_bytes
        if size > bound:
            raise CheckpointTooLarge(
                f"a file of {size / _MEGABYTE:.1f} MB exceeds the {bound / _MEGABYTE:.1f} MB that are kept in a database; give the saver a "
                "blob_url, or raise database_bytes of BlobSettings"
            )

    def forget_soon(self, keys: Sequence[str]) -> None:
        """Like `forget`, from any worker thread and without waiting: writes that are encoded afterwards upload them again."""
        if keys:
            self._loop.run(self.forget(keys))

    async def forget(self, keys: Sequence[str]) -> None:
        """Forget objects that turned out to be deleted, or about to be.

        A collector may have deleted an object before its upload ended. What was uploaded afterwards is deleted here: it has no row.
        """
        self._seen.forget(keys)
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
            self._seen.add(found.key, digest, found.size)
        else:
            self._seen.forget([found.key])
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
            self._seen.forget([key])
            if self.location.is_elsewhere:
                raise BlobMissing(f"{exc}; {self.location.explanation}") from exc
            raise

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
        self._loop.close(self._backend.close(), seconds)
