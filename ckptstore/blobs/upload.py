"""Encoding records whose values have large parts: the new ones are uploaded, and known ones referred to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.records import NewSegment, WriteRecord
from ckptstore.runtime.future import Future
from ckptstore.values.chunking import BLOB_BYTES, ChunkedValue
from ckptstore.values.compression import compress
from ckptstore.values.digests import blob_reference, digest_of
from ckptstore.values.encode import EncodedWrite, KnownAmong, Remember, assemble, chunk_values, row_segments, split_known, values_of
from ckptstore.values.known_segments import KnownSegments

logger = logging.getLogger(__name__)


class Uploader:
    """Encodes records on the registry's event loop; hashing and compression run on worker threads.

    Args:
        registry: the objects in blob storage.
        known: which segments threads are known to have.
        remember: see `ckptstore.values.encode.row_segments`.
    """

    def __init__(self, registry: ObjectRegistry, known: KnownSegments, remember: Remember | None = None) -> None:
        self._registry = registry
        self._known = known
        self._remember = remember

    def encode(self, record: WriteRecord, chunked: Sequence[ChunkedValue] | None = None) -> Future[EncodedWrite]:
        """Encode a record, and upload those of its large parts that are new, or whose object is lost.

        Args:
            record: what is to be written.
            chunked: its values in chunks, in order; None where a worker thread is to chunk them.

        The future fails with:
            BlobUnavailable: the backend failed; nothing was written.
        """
        return self._registry.run(self.encode_here(record, chunked))

    def serialise_and_encode(self, serialise: Callable[[], WriteRecord]) -> Future[EncodedWrite]:
        """Like `encode`, for a record that takes long to serialise: a worker thread does it, so that it blocks no event loop.

        The future fails like that of `encode`, or with what `serialise` raises.
        """
        return self._registry.run(self._serialise_and_encode(serialise))

    async def _serialise_and_encode(self, serialise: Callable[[], WriteRecord]) -> EncodedWrite:
        return await self.encode_here(await asyncio.to_thread(serialise), None)

    async def encode_here(self, record: WriteRecord, chunked: Sequence[ChunkedValue] | None = None) -> EncodedWrite:
        """See `encode`; to be awaited on the registry's loop."""
        if chunked is None:
            chunked = await asyncio.to_thread(chunk_values, record)
        known_among = await self._known_among(record.key.thread_id, chunked)
        split = split_known(chunked, known_among)
        large = {digest: data for digest, data in split.new.items() if len(data) >= BLOB_BYTES and self._registry.has_backend}
        small = {digest: data for digest, data in split.new.items() if digest not in large}
        segments = await asyncio.to_thread(row_segments, small, split.lists, self._remember)
        whole_digests = {digest: whole for one in chunked for digest, whole in one.whole_digests.items()}
        uploads = [self._upload(digest, data, whole_digests[digest], record.created_at) for digest, data in large.items()]
        segments += await asyncio.gather(*uploads)
        references = {blob_reference(digest): digest for value in values_of(record) for digest in value.blob_digests}
        known_references = known_among(references)
        segments += await self._refer({name: digest for name, digest in references.items() if name not in known_references})
        return assemble(record, chunked, segments, [*split.known, *sorted(known_references)])

    async def _known_among(self, thread_id: str, chunked: Sequence[ChunkedValue]) -> KnownAmong:
        """Tells which segments the thread is known to have, without those whose object is lost: these are uploaded again."""
        large = {digest for one in chunked for digest in one.whole_digests}
        keys = self._known.object_keys(thread_id, large) if self._registry.has_backend else {}
        lost = {digest for digest, key in keys.items() if key is None or not await self._registry.is_there(key)}
        # A list that is known stands for all of its segments.
        lost |= {name for one in chunked for name, (_, digests) in one.lists.items() if not lost.isdisjoint(digests)}
        return lambda digests: self._known.among(thread_id, digests) - lost

    async def _upload(self, digest: str, data: memoryview, whole_digest: str, created_at: int) -> NewSegment:
        encoding, encoded = await asyncio.to_thread(compress, data)
        object_digest = whole_digest if encoding == "raw" else await asyncio.to_thread(digest_of, encoded)
        key = await self._registry.ensure_uploaded(object_digest, len(encoded), created_at, lambda backend, key: backend.put(key, encoded))
        return NewSegment(digest, len(data), encoding, None, key)

    async def _refer(self, references: Mapping[str, str]) -> list[NewSegment]:
        """Segments that refer to registered blobs: names in the layout -> digests."""
        if not references:
            return []
        found = await self._registry.find_all([*references.values()])
        dangling = len(references) - len(found)
        if dangling:
            # Anybody may write such texts into a state: the write succeeds, and reading the blobs reports that there are none.
            fields = {"event": "handle_dangling", "count": dangling}
            logger.warning("a state holds handles to blobs that do not exist: %d of them", dangling, extra=fields)
        named = [(name, found[digest]) for name, digest in references.items() if digest in found]
        return [NewSegment(name, size, "raw", None, key) for name, (key, size) in named]
