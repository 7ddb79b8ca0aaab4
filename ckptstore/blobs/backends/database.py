"""Objects in a table of the database, and the backend that finds each object where its key says: there, or in the store's backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable
from ckptstore.runtime.wakeups import settled

#: What keys of objects in the database begin with; those of others begin with two digits.
FOLDER = "database"
_PAGE_SIZE = 500


def is_in_database(key: str) -> bool:
    """Whether an object with this key is in the database."""
    return key.startswith(f"{FOLDER}/")


class DatabaseBackend:
    """Objects as rows. Each is held in memory while it is stored or read: callers bound their size.

    Faults of the database are raised as such, not as `BlobUnavailable`.

    Args:
        runner: of the database, which belongs to the caller.
    """

    url = "the database"

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def put(self, key: str, data: bytes | memoryview) -> None:
        row = {"key": key, "content": bytes(data)}
        await settled(self._runner.write(lambda db: db.run(sql.content.put_content, row)))

    async def put_file(self, key: str, path: Path) -> None:
        await self.put(key, await asyncio.to_thread(path.read_bytes))

    async def get(self, key: str, max_bytes: int) -> bytes:
        rows = await settled(self._runner.read(lambda db: db.scan(sql.content.content, {"key": key, "max_bytes": max_bytes})))
        if not rows:
            raise BlobMissing(f"object {key} is not in {self.url}")
        ((size, content),) = rows
        if content is None:
            raise BlobCorrupt(f"object {key} in {self.url} has {size} bytes, and was registered with {max_bytes}")
        return bytes(content)

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        content = await self.get(key, max_bytes)
        await asyncio.to_thread(path.write_bytes, content)

    async def size(self, key: str) -> int | None:
        rows = await settled(self._runner.read(lambda db: db.run(sql.content.content_size, {"key": key}).all()))
        return rows[0][0] if rows else None

    async def delete(self, key: str) -> None:
        await settled(self._runner.write(lambda db: db.run(sql.content.delete_content, {"key": key})))

    async def entries(self) -> AsyncIterator[BlobEntry]:
        after = ""
        while page := await settled(self._runner.read(partial(_page_after, after=after))):
            for entry in page:
                yield entry
            after = page[-1].key

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        return 0

    async def close(self) -> None:
        """Nothing: the runner belongs to the caller."""


def _page_after(db: Db, after: str) -> list[BlobEntry]:
    return [BlobEntry(*row) for row in db.scan(sql.content.content_sizes, {"after": after, "page_size": _PAGE_SIZE})]


class RoutedBackend:
    """The objects of a store: those in its database, and those in its backend, if it has one.

    Args:
        inside: the objects in the database.
        outside: the backend. Without one, its objects are missing.
    """

    def __init__(self, inside: BlobBackend, outside: BlobBackend | None) -> None:
        self.inside, self.outside = inside, outside
        self.url = inside.url if outside is None else outside.url

    def _of(self, key: str) -> BlobBackend:
        if is_in_database(key):
            return self.inside
        if self.outside is None:
            raise BlobMissing(f"object {key}: this saver has no blob_url; pass that of the database's blobs")
        return self.outside

    async def put(self, key: str, data: bytes | memoryview) -> None:
        await self._of(key).put(key, data)

    async def put_file(self, key: str, path: Path) -> None:
        await self._of(key).put_file(key, path)

    async def get(self, key: str, max_bytes: int) -> bytes:
        return await self._of(key).get(key, max_bytes)

    async def get_file(self, key: str, path: Path, max_bytes: int) -> None:
        await self._of(key).get_file(key, path, max_bytes)

    async def size(self, key: str) -> int | None:
        is_lost = self.outside is None and not is_in_database(key)
        return None if is_lost else await self._of(key).size(key)

    async def delete(self, key: str) -> None:
        if self.outside is None and not is_in_database(key):
            raise BlobUnavailable(f"object {key} can't be deleted: this saver has no blob_url", transient=False)
        await self._of(key).delete(key)

    async def entries(self) -> AsyncIterator[BlobEntry]:
        for backend in self._all():
            async for entry in backend.entries():
                yield entry

    async def delete_unfinished(self, min_age_seconds: float, *, dry_run: bool) -> int:
        return sum([await backend.delete_unfinished(min_age_seconds, dry_run=dry_run) for backend in self._all()])

    async def close(self) -> None:
        for backend in self._all():
            await backend.close()

    def _all(self) -> list[BlobBackend]:
        return [self.inside] if self.outside is None else [self.inside, self.outside]
