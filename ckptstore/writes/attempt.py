"""One attempt to write, and its encoding: serialised, split into segments, its large parts uploaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.blobs.upload import Uploader
from ckptstore.errors import DatabaseUnavailable
from ckptstore.records import CheckpointKey, WriteRecord
from ckptstore.runtime.future import Future
from ckptstore.values.encode import LARGE_BYTES, EncodedWrite, Remember, chunk_values, encode, encode_small, is_large, needs_blob_storage
from ckptstore.values.known_segments import KnownSegments
from ckptstore.writes.thread_lease import ThreadLease

if TYPE_CHECKING:
    from opentelemetry.trace import Span

# Something that a write refers to was deleted meanwhile. Once is a race, so many times is a fault.
_MAX_TRIES = 20


@dataclass(frozen=True, slots=True)
class MissingParts:
    """Why a write was not stored: something that it refers to does not exist."""

    #: Channels that it takes over unchanged, and that no earlier checkpoint stored.
    channels: tuple[str, ...] = ()
    #: Digests of segments that its thread was known to have.
    segments: tuple[str, ...] = ()
    #: Keys of objects that are being deleted, or were deleted.
    objects: tuple[str, ...] = ()
    #: Whether the lease under which it is written is no longer held.
    lease: bool = False

    def __or__(self, other: MissingParts) -> MissingParts:
        """Everything that is missing in one of the two."""
        lists = (self.channels + other.channels, self.segments + other.segments, self.objects + other.objects)
        return MissingParts(*lists, lease=self.lease or other.lease)


class WriteAttempt(ABC):
    """One attempt to write. It is encoded again if something that it refers to turns out to be missing.

    Args:
        key: of the checkpoint that it writes, or writes to.
        expected_bytes: about how many bytes it serialises to; if they are many, a worker thread serialises it.
    """

    __slots__ = ("expected_bytes", "key", "lease", "record", "span", "thread_id", "tries")

    #: The operation under which monitoring counts it.
    operation: ClassVar[Literal["put", "put_writes"]]

    def __init__(self, key: CheckpointKey, expected_bytes: int = 0) -> None:
        self.key = key
        self.thread_id = key.thread_id
        self.expected_bytes = expected_bytes
        #: The span of the call, if there are spans: that of its batch links it.
        self.span: Span | None = None
        #: The lease under which it is written; None without one.
        self.lease: ThreadLease | None = None
        #: What `serialise` returned last.
        self.record: WriteRecord | None = None
        #: How often it was encoded.
        self.tries = 0

    @abstractmethod
    def serialise(self, not_stored: Sequence[str]) -> WriteRecord:
        """The write as a record.

        Args:
            not_stored: channels that the caller did not list as changed, but that no earlier checkpoint stored: they are stored with it.
        """


class Encoding(NamedTuple):
    """An encoded write, or the future of one."""

    #: Bytes that it occupies in memory until it is durable.
    held_bytes: int
    write: EncodedWrite | Future[EncodedWrite]


class WriteEncoder:
    """Encodes attempts for one store.

    Args:
        known: which segments threads are known to have.
        registry: the objects in blob storage.
        remember: see `ckptstore.values.encode.row_segments`.
    """

    def __init__(self, known: KnownSegments, registry: ObjectRegistry, remember: Remember) -> None:
        self._known = known
        self._registry = registry
        self._remember = remember
        self._uploader = Uploader(registry, known, remember)

    def encode(self, attempt: WriteAttempt, missing: MissingParts | None = None) -> Encoding:
        """Serialise and encode a write.

        Args:
            attempt: the write.
            missing: what was missing the last time; those parts are sent now.

        Raises:
            DatabaseUnavailable: something that it refers to was deleted too often.
            LeaseLost: the lease under which it is written is held no longer.
        """
        attempt.tries += 1
        if missing is not None:
            self._forget(missing, attempt)
        if attempt.record is None and attempt.expected_bytes >= LARGE_BYTES:
            serialise = partial(_serialised, attempt)
            return Encoding(attempt.expected_bytes, self._uploader.serialise_and_encode(serialise))
        record = attempt.record
        if record is None or (missing is not None and missing.channels):
            record = attempt.record = attempt.serialise(missing.channels if missing is not None else ())
        size = record.size
        return Encoding(size, encode_small(record) or self._encode(record, size, attempt))

    def _encode(self, record: WriteRecord, size: int, attempt: WriteAttempt) -> EncodedWrite | Future[EncodedWrite]:
        if size >= LARGE_BYTES and is_large(record):
            return self._uploader.encode(record)
        chunked = chunk_values(record)
        if needs_blob_storage(chunked):
            return self._uploader.encode(record, chunked)
        return encode(record, partial(self._known.among, attempt.thread_id), chunked, self._remember)

    def _forget(self, missing: MissingParts, attempt: WriteAttempt) -> None:
        if missing.lease and attempt.lease is not None:
            raise attempt.lease.lose()
        if attempt.tries > _MAX_TRIES:
            raise DatabaseUnavailable(
                f"thread {attempt.thread_id!r}: what a write builds on was deleted {_MAX_TRIES} times before it could be stored"
            )
        self._known.forget(attempt.thread_id, missing.segments)
        self._registry.forget_soon(missing.objects)

    def stored(self, write: EncodedWrite) -> None:
        """Note that a write is durable: its thread has all of its segments."""
        if not write.segments and not write.known:
            return
        in_rows = [segment.digest for segment in write.segments if segment.object_key is None]
        self._known.add(write.record.key.thread_id, [*write.known, *in_rows], write.object_keys)


def _serialised(attempt: WriteAttempt) -> WriteRecord:
    attempt.record = attempt.serialise(())
    return attempt.record
