"""Which segments each thread is known to have, so that they are not sent again."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from cachetools import LRUCache

from ckptstore.runtime.fork import in_child

# About 10 MB of digests.
_MAX_SEGMENTS = 50_000


class KnownSegments:
    """A cache of (thread, digest). It is only a hint: every transaction checks that the segments it relies on exist."""

    def __init__(self) -> None:
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._known: LRUCache[tuple[str, str], None] = LRUCache(_MAX_SEGMENTS)

    def among(self, thread_id: str, digests: Iterable[str]) -> set[str]:
        """Of some digests, those of segments that the thread is known to have."""
        with self._lock:
            return {digest for digest in digests if (thread_id, digest) in self._known}

    def add(self, thread_id: str, digests: Iterable[str]) -> None:
        """The thread has these segments."""
        with self._lock:
            for digest in digests:
                self._known[thread_id, digest] = None

    def forget(self, thread_id: str, digests: Iterable[str]) -> None:
        """The thread turned out not to have these segments."""
        with self._lock:
            for digest in digests:
                self._known.pop((thread_id, digest), None)

    def forget_everywhere(self, digest: str) -> None:
        """The segment has to be stored again in every thread that uses it."""
        with self._lock:
            for key in [key for key in self._known if key[1] == digest]:
                del self._known[key]
