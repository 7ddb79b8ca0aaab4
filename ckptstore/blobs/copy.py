"""Copy blobs from one backend to another: resumable, checked, several at a time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.errors import BlobCorrupt, CkptStoreError
from ckptstore.runtime.temporary_files import temporary_path
from ckptstore.values.digests import hash_file

logger = logging.getLogger(__name__)

_PARALLEL = 8
_DIGEST_IN_KEY = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})-[0-9a-f]+")


@dataclass(slots=True)
class CopyReport:
    """The result of a copy."""

    copied: int = 0
    copied_bytes: int = 0
    #: Objects that the target already had.
    skipped: int = 0
    #: Key -> the reason of the failure.
    failed: dict[str, str] = field(default_factory=dict)
    #: Keys that ckptstore did not create; they were not copied.
    unrecognised: list[str] = field(default_factory=list)


async def copy_blobs(
    source: BlobBackend, target: BlobBackend, on_listed: Callable[[int, int], None], on_done: Callable[[int], None]
) -> CopyReport:
    """Copy every object that the target does not have. An object whose content does not match the digest in its key is not copied.

    A failure with one object (a backend's error, no space for its temporary file) is reported, and the other objects are copied.

    Args:
        source: the backend to read from.
        target: the backend to write to.
        on_listed: called with the number of objects and their total bytes before the first is copied.
        on_done: called with the bytes of each object once it is copied, skipped or failed.

    Raises:
        BlobUnavailable: the source can't be listed.
    """
    report = CopyReport()
    entries: list[BlobEntry] = []
    async for entry in source.entries():
        if _DIGEST_IN_KEY.fullmatch(entry.key):
            entries.append(entry)
        else:
            report.unrecognised.append(entry.key)
    on_listed(len(entries), sum(entry.size for entry in entries))
    remaining = iter(entries)
    await asyncio.gather(*[_copy_all(remaining, source, target, report, on_done) for _ in range(_PARALLEL)])
    logger.info(
        "copied %d blobs (%d bytes) from %s to %s: %d already there, %d failed",
        report.copied, report.copied_bytes, source.url, target.url, report.skipped, len(report.failed),
        extra={"event": "blobs_copied", "copied": report.copied, "bytes": report.copied_bytes, "skipped": report.skipped,
               "failed": len(report.failed)},
    )  # fmt: skip
    return report


async def _copy_all(
    remaining: Iterator[BlobEntry], source: BlobBackend, target: BlobBackend, report: CopyReport, on_done: Callable[[int], None]
) -> None:
    for entry in remaining:
        try:
            if await target.size(entry.key) == entry.size:
                report.skipped += 1
            else:
                await _copy(entry, source, target)
                report.copied += 1
                report.copied_bytes += entry.size
        except (CkptStoreError, OSError) as exc:
            # One bad object, or one too large for the temporary disk, does not prevent the others from being copied.
            reason = f"its temporary file: {exc.strerror or type(exc).__name__}" if isinstance(exc, OSError) else str(exc)
            report.failed[entry.key] = reason
            logger.warning("blob %s was not copied: %s", entry.key, reason, extra={"event": "blob_copy_failed", "key": entry.key})
        on_done(entry.size)


async def _copy(entry: BlobEntry, source: BlobBackend, target: BlobBackend) -> None:
    with temporary_path() as path:
        await source.get_file(entry.key, path, entry.size)
        digest, size = await asyncio.to_thread(hash_file, path)
        found = _DIGEST_IN_KEY.fullmatch(entry.key)
        assert found is not None
        if digest != found[1]:
            raise BlobCorrupt(f"object {entry.key} at {source.url} was truncated or altered: {size} bytes hash to {digest[:12]}")
        await target.put_file(entry.key, path)
    stored = await target.size(entry.key)
    if stored != size:
        raise BlobCorrupt(f"object {entry.key} has {stored} bytes at {target.url} after {size} were stored")
