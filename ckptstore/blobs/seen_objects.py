"""The objects that this process has seen in storage, so that it need not look for them with every write."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from cachetools import LRUCache

_MAX_OBJECTS = 20_000


class SeenObject(NamedTuple):
    """An object that was in the backend, with its full size."""

    digest: str
    size: int
    #: When it was last seen there, by the monotonic clock.
    seen_at: float


class SeenObjects:
    """The objects that were seen last, by key and by digest. Not for several threads."""

    def __init__(self) -> None:
        self._seen: LRUCache[str, SeenObject] = LRUCache(_MAX_OBJECTS)
        self._keys: LRUCache[str, str] = LRUCache(_MAX_OBJECTS)

    def __contains__(self, key: str) -> bool:
        """Whether the object was seen."""
        return key in self._seen

    def get(self, key: str) -> SeenObject | None:
        """An object that was seen, or None."""
        found: SeenObject | None = self._seen.get(key)
        return found

    def key_of(self, digest: str) -> str | None:
        """The key of an object with this content that was seen, or None."""
        found: str | None = self._keys.get(digest)
        return found

    def add(self, key: str, digest: str, size: int) -> None:
        """Note that an object was seen now, with its full size in bytes."""
        self._seen[key] = SeenObject(digest, size, time.monotonic())
        self._keys[digest] = key

    def forget(self, keys: Iterable[str]) -> None:
        """Forget that these were seen."""
        for key in keys:
            if (seen := self._seen.pop(key, None)) is not None and self._keys.get(seen.digest) == key:
                del self._keys[seen.digest]
