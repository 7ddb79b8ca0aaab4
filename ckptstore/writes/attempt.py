"""Units on their way to the writer: serialised, packed, and made again when what they build on has gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future

from ckptstore.blobs.registry import ObjectRegistry
from ckptstore.errors import DatabaseUnavailable
from ckptstore.values.encode import (
    LONG_BYTES,
    EncodedWrite,
    KnownSegments,
    Unit,
    cuts_of,
    encode_small,
    encode_write,
    is_large,
    needs_objects,
)
from ckptstore.writes.commit import MissingParts
from ckptstore.writes.entry import Making

# What a unit builds on is deleted under it: once is a race, so often is a fault.
_ATTEMPTS = 20

#: Makes a unit that stores these channels even if they did not change.
Encode = Callable[[Sequence[str]], Unit]


class HandingOver:
    """One unit on its way to the writer, made again when what it builds on turns out to be missing.

    Args:
        thread_id: its thread.
        encode: serialises it.
        expected_bytes: about how many that will be: with many it is done on another thread.
        known: which segments threads have.
        objects: where large parts go.
    """

    def __init__(self, thread_id: str, encode: Encode, expected_bytes: int, known: KnownSegments, objects: ObjectRegistry) -> None:
        self._thread_id = thread_id
        self._encode = encode
        self._expected_bytes = expected_bytes
        self._known = known
        self._objects = objects
        self._unit: Unit | None = None
        self._packed: EncodedWrite | Future[EncodedWrite]
        self._attempts = 0

    def make(self, missing: MissingParts | None) -> Making:
        """Serialise and pack; what was missing is sent this time, and not relied upon."""
        self._attempts += 1
        if missing is not None:
            if self._attempts > _ATTEMPTS:
                raise DatabaseUnavailable(f"thread {self._thread_id!r}: what a write builds on was deleted {_ATTEMPTS} times meanwhile")
            self._known.forget(self._thread_id, missing.segments)
            self._objects.give_up(missing.objects)
        if self._unit is None and self._expected_bytes >= LONG_BYTES:
            self._packed = self._objects.serialise_and_pack(self._serialise, self._among)
            return Making(self._expected_bytes, self._packed)
        if self._unit is None or (missing is not None and missing.channels):
            self._serialise(missing.channels if missing is not None else ())
        assert self._unit is not None
        self._packed = encode_small(self._unit) or self._pack(self._unit)
        return Making(self._unit.size, self._packed)

    def _serialise(self, not_stored: Sequence[str] = ()) -> Unit:
        self._unit = self._encode(not_stored)
        return self._unit

    def _among(self, digests: Iterable[str]) -> set[str]:
        return self._known.among(self._thread_id, digests)

    def _pack(self, unit: Unit) -> EncodedWrite | Future[EncodedWrite]:
        if is_large(unit):
            return self._objects.pack(unit, self._among)
        cuts = cuts_of(unit)
        return self._objects.pack(unit, self._among, cuts) if needs_objects(unit, cuts) else encode_write(unit, self._among, cuts)

    def stored(self) -> None:
        """It is durable: the thread has all of its segments."""
        self._known.add(self._packed.result() if isinstance(self._packed, Future) else self._packed)
