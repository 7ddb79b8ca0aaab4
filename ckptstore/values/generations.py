"""A bounded cache in two generations: reading takes no lock, and what is not used for a while leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from ckptstore.runtime.fork import in_child

T = TypeVar("T")


class GenerationCache(Generic[T]):
    """Values by bytes. New ones go into the young generation; when it is full it becomes the old one, and the old one is dropped.

    A value of the old generation that is read moves to the young one. Worker threads share a cache.

    Args:
        max_bytes: of both generations together.
        size_of: bytes that a key and its value take together.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[bytes, T], int]) -> None:
        self._max_young_bytes = max_bytes // 2
        self._size_of = size_of
        self._young: dict[bytes, T] = {}
        self._old: dict[bytes, T] = {}
        self._young_bytes = 0
        self._renew_lock()
        in_child(self._renew_lock)

    def _renew_lock(self) -> None:
        # A forked child inherits the lock as it was, and another worker thread of the parent may have held it.
        self._lock = threading.Lock()

    def get_all(self, keys: Sequence[bytes]) -> list[T | None]:
        """What is known for each key, None for nothing."""
        found: list[T | None] = list(map(self._young.get, keys))
        # In a variable: the values that move to the young generation may fill it, and then the old one is dropped.
        old = self._old
        if old and None in found:
            for n, value in enumerate(found):
                if value is None and (kept := old.get(keys[n])) is not None:
                    found[n] = kept
                    self.add(keys[n], kept)
        return found

    def add(self, key: bytes, value: T, *, replace: bool = False) -> None:
        """Keep a value, unless it takes a generation's room for itself, or the key has one and that is not to be replaced."""
        size = self._size_of(key, value)
        with self._lock:
            if size > self._max_young_bytes or (key in self._young and not replace):
                return
            if key in self._young:
                self._young_bytes -= self._size_of(key, self._young.pop(key))
            if self._young_bytes + size > self._max_young_bytes:
                self._old, self._young, self._young_bytes = self._young, {}, 0
            self._young_bytes += size
            self._young[key] = value

    @property
    def size_bytes(self) -> int:
        """Bytes of everything that is kept."""
        with self._lock:
            return sum(self._size_of(key, value) for kept in (self._young, self._old) for key, value in kept.items())
