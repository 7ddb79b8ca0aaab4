"""Units on their way to the writer: serialised, packed, and made again when what they build on has gone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial

from ckptstore.errors import DatabaseUnavailable
from ckptstore.objects import Objects
from ckptstore.packing import KnownSegments, PackedUnit, Unit, cuts_of, needs_objects, pack, pack_small, takes_long
from ckptstore.units import Making
from ckptstore.writes import Missing

# What a unit builds on is deleted under it: once is a race, so often is a fault.
_ATTEMPTS = 20

#: Makes a unit that stores these channels even if they did not change.
Encode = Callable[[Sequence[str]], Unit]


class HandingOver:
    """One unit on its way to the writer, made again when what it builds on turns out to be missing."""

    def __init__(self, thread_id: str, encode: Encode, known: KnownSegments, objects: Objects) -> None:
        self._thread_id = thread_id
        self._encode = encode
        self._known = known
        self._objects = objects
        self._unit: Unit | None = None
        self._packed: PackedUnit | Future[PackedUnit]
        self._attempts = 0

    def make(self, missing: Missing | None) -> Making:
        """Serialise and pack; what was missing is sent this time, and not relied upon."""
        self._attempts += 1
        if missing is not None:
            if self._attempts > _ATTEMPTS:
                raise DatabaseUnavailable(f"thread {self._thread_id!r}: what a write builds on was deleted {_ATTEMPTS} times meanwhile")
            self._known.forget(self._thread_id, missing.segments)
            self._objects.give_up(missing.objects)
        if self._unit is None or (missing is not None and missing.channels):
            self._unit = self._encode(missing.channels if missing is not None else ())
        self._packed = pack_small(self._unit) or self._pack(self._unit)
        return Making(self._unit.size, self._packed)

    def _pack(self, unit: Unit) -> PackedUnit | Future[PackedUnit]:
        among = partial(self._known.among, self._thread_id)
        if takes_long(unit):
            return self._objects.pack(unit, among)
        cuts = cuts_of(unit)
        return self._objects.pack(unit, among, cuts) if needs_objects(unit, cuts) else pack(unit, among, cuts)

    def stored(self) -> None:
        """It is durable: the thread has all of its segments."""
        self._known.add(self._packed.result() if isinstance(self._packed, Future) else self._packed)
