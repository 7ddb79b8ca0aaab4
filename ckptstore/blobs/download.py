"""Downloader of what objects hold: from the caches or from the backend, whole and checked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.errors import BlobCorrupt, BlobMissing
from ckptstore.records import LoadedSegment
from ckptstore.runtime.future import Future
from ckptstore.values.cache import FolderCache, MemoryCache
from ckptstore.values.compression import decompress_segment

logger = logging.getLogger(__name__)


class Downloader:
    """Reads the content of objects.

    Args:
        objects: where it is, and the loop that all of this runs on.
        memory: a cache in memory.
        folder: a larger cache in a folder, or None.
    """

    def __init__(self, objects: ObjectRegistry, memory: MemoryCache, folder: FolderCache | None) -> None:
        self._objects = objects
        self._memory = memory
        self._folder = folder

    def fetch(self, segments: Sequence[LoadedSegment]) -> Future[dict[str, bytes]]:
        """Fetch segments; the result maps digests to checked content.

        The future fails with:
            BlobMissing: an object is missing in the backend.
            BlobCorrupt: an object's bytes are not those that were stored.
            BlobUnavailable: the backend failed.
        """
        found = {segment.digest: self._memory.get(segment.digest) for segment in segments}
        cached = {digest: data for digest, data in found.items() if data is not None}
        if len(cached) == len(found):
            done: Future[dict[str, bytes]] = Future()
            done.set_result(cached)
            return done
        return self._objects.run(self._fetch_all(cached, [segment for segment in segments if segment.digest not in cached]))

    async def _fetch_all(self, cached: dict[str, bytes], missing: Sequence[LoadedSegment]) -> dict[str, bytes]:
        fetched = await asyncio.gather(*[self.fetch_one(segment) for segment in missing])
        return cached | {segment.digest: data for segment, data in zip(missing, fetched, strict=True)}

    async def fetch_one(self, segment: LoadedSegment) -> bytes:
        """Fetch one segment from a cache or from the backend."""
        data = self._memory.get(segment.digest)
        if data is not None:
            return data
        data = await self._from_folder(segment)
        if data is None:
            data = await self._from_backend(segment)
            if self._folder is not None:
                await asyncio.to_thread(self._folder.put, segment.digest, data)
        self._memory.put(segment.digest, data)
        return data

    async def _from_folder(self, segment: LoadedSegment) -> bytes | None:
        if self._folder is None:
            return None
        data = await asyncio.to_thread(self._folder.get, segment.digest, segment.size)
        if data is None:
            return None
        try:
            return await asyncio.to_thread(decompress_segment, segment.digest, segment.size, "raw", data)
        except BlobCorrupt:
            logger.warning(
                "a file in the blob cache was altered; reading the blob from the backend",
                extra={"event": "cache_corrupt", "digest": segment.digest},
            )
            self._folder.remove(segment.digest)
            return None

    async def _from_backend(self, segment: LoadedSegment) -> bytes:
        if segment.object_key is None:
            raise BlobCorrupt(f"segment {segment.digest} has neither bytes nor an object: its row was altered; restore a backup")
        if not self._objects.reaches(segment.object_key):
            raise BlobMissing(f"object {segment.object_key}: {self._objects.location.explanation}")
        # Compressed only where that makes it smaller.
        raw = await self._objects.content(segment.object_key, segment.size)
        try:
            return await asyncio.to_thread(decompress_segment, segment.digest, segment.size, segment.encoding, raw)
        except BlobCorrupt as exc:
            raise BlobCorrupt(f"object {segment.object_key} at {self._objects.backend.url} was truncated or altered: {exc}") from exc
