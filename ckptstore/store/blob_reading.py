"""Reading a file of the blob store whole, with a bound on its size: for the pages and commands that show it."""

from __future__ import annotations

from ckptstore.errors import InvalidConfig
from ckptstore.records import LoadedSegment
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from ckptstore.values.digests import compact


def read_blob(store: Store, digest: str, max_bytes: int) -> Steps[bytes]:
    """The content of a blob.

    Args:
        store: the store.
        digest: SHA-256 of the content, in hexadecimal.
        max_bytes: a larger one is not read.

    Raises:
        InvalidConfig: it is larger.
        BlobMissing: it is not registered, or its object is not in the backend.
        BlobCorrupt: its bytes have another digest.
        BlobUnavailable: the backend failed.
    """
    objects = yield from store.ready_objects()

    async def read() -> bytes:
        key, size = await objects.find(digest)
        if size > max_bytes:
            raise InvalidConfig(f"this file has {size} bytes, more than the {max_bytes} that are shown; read it with saver.blobs.open()")
        return await store.downloads.fetch_one(LoadedSegment(compact(digest), key, size, "raw", None))

    data: bytes = yield objects.run(read())
    return data
