"""Which segments each thread is known to have, so that they are not sent again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ckptstore.runtime.fork import in_child
from ckptstore.values.lru import Lru

# About 10 MB of digests.
_MAX_SEGMENTS = 50_000


class KnownSegments:
    """A cache of (thread, digest), with the key of the object that holds the segment's bytes, if one does.

    It is only a hint: every transaction checks that the segments it relies on exist.
    """

    def __init__(self) -> None:
        self._start()
        in_child(self._start)

    def _start(self) -> None:
        self._known: Lru[tuple[str, str], str | None] = Lru(_MAX_SEGMENTS)

    def among(self, thread_id: str, digests: Iterable[str]) -> set[str]:
        """Those of the given digests whose segments the thread is known to have."""
        return {digest for digest in digests if (thread_id, digest) in self._known}

    def object_keys(self, thread_id: str, digests: Iterable[str]) -> dict[str, str | None]:
        """The segments among some digests that the thread is known to have: the object of each, None where it is not known to be in one."""
        return {digest: self._known.get((thread_id, digest)) for digest in digests if (thread_id, digest) in self._known}

    def add(self, thread_id: str, digests: Iterable[str], object_keys: Mapping[str, str]) -> None:
        """The thread has these segments.

        Args:
            thread_id: the thread.
            digests: of the segments; what is known of the object of each is kept.
            object_keys: further segments, and the object of each.
        """
        for digest in digests:
            self._known.put_new((thread_id, digest), None)
        for digest, key in object_keys.items():
            self._known.put((thread_id, digest), key)

    def forget(self, thread_id: str, digests: Iterable[str]) -> None:
        """The thread turned out not to have these segments."""
        for digest in digests:
            self._known.drop((thread_id, digest))
