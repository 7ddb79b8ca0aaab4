"""The entries that callers wait for, in the order in which they came.

Callers add and remove entries on their own threads, where they may be interrupted at any bytecode: each change is one operation of a dict.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from ckptstore.runtime.future import Future
from ckptstore.writes.entry import QueueEntry


class PendingEntries:
    """Entries from `add` until they are stored, have failed, or their callers have given up.

    Args:
        max_entries: how many may be encoded and not under way; the others hold nothing but what their callers hold.
        max_bytes: how many bytes the encoded ones may occupy in memory.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        #: By their futures. Code that every put runs looks at this dict: `len` of this object would be a Python call.
        self.entries: dict[Future[Any], QueueEntry] = {}
        self._held_bytes = 0
        #: How many entries are under way.
        self.under_way = 0

    def __len__(self) -> int:
        """All entries."""
        return len(self.entries)

    @property
    def depth(self) -> int:
        """Entries that are not under way."""
        return len(self.entries) - self.under_way

    @property
    def held_bytes(self) -> int:
        """Bytes that the encoded entries occupy, about: callers add without a lock, and `in_order` counts again."""
        return self._held_bytes

    def has_room(self, waiting: int = 0) -> bool:
        """Whether another entry may be encoded, if so many of these are not."""
        return len(self.entries) - self.under_way - waiting < self._max_entries and self._held_bytes < self._max_bytes

    def add(self, entry: QueueEntry) -> None:
        """Add an entry at the end."""
        entry.waiting_since = entry.waiting_since or monotonic()
        self.entries[entry.future] = entry
        self._held_bytes += entry.held_bytes

    def hold(self, held_bytes: int) -> None:
        """Count the bytes of an entry that was encoded."""
        self._held_bytes += held_bytes

    def find(self, future: Future[Any]) -> QueueEntry | None:
        """The entry with this future."""
        return self.entries.get(future)

    def remove(self, entry: QueueEntry) -> bool:
        """Remove an entry; False if it was removed already."""
        if self.entries.pop(entry.future, None) is None:
            return False
        self._held_bytes -= entry.held_bytes
        return True

    def fail(self, entry: QueueEntry, exc: BaseException) -> None:
        """Remove an entry, and complete its future with an error; on a worker thread."""
        self.remove(entry)
        entry.future.set_exception(exc)

    def in_order(self) -> list[QueueEntry]:
        """The entries, in order."""
        entries = list(self.entries.values())
        self._held_bytes = sum([entry.held_bytes for entry in entries])
        return entries
