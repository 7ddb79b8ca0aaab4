"""A mapping of bounded length that drops what was used least recently, for callers that may be interrupted at any bytecode.

`cachetools.LRUCache` changes two dicts in Python code, and needs a lock: see `runtime.future` for what an interrupt does to both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    """Keys and values; each change is one operation of `OrderedDict`. Keys must be hashed by built-in types.

    Args:
        max_items: the largest number of items.
    """

    def __init__(self, max_items: int) -> None:
        self._max_items = max_items
        self._items: OrderedDict[K, V] = OrderedDict()

    def __contains__(self, key: K) -> bool:
        """Whether it holds a key; does not count as a use."""
        return key in self._items

    def get(self, key: K) -> V | None:
        """The value, or None."""
        items = self._items
        # Another thread may drop it at any time. Not by `suppress`, whose three calls take longer than the rest: every put does this often.
        try:  # noqa: SIM105
            items.move_to_end(key)
        except KeyError:
            pass
        return items.get(key)

    def put(self, key: K, value: V) -> None:
        """Add or replace a value."""
        items = self._items
        items[key] = value
        try:
            items.move_to_end(key)
            while len(items) > self._max_items:
                items.popitem(last=False)
        except KeyError:
            return

    def put_new(self, key: K, value: V) -> None:
        """Add a value, or keep the one that is there; counts as a use of either."""
        try:
            self._items.move_to_end(key)
        except KeyError:
            self.put(key, value)

    def drop(self, key: K) -> None:
        """Remove a key, if it is there."""
        self._items.pop(key, None)
