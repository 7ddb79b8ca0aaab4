"""A store for a dry run, which only reads."""

from __future__ import annotations

from ckptstore.store.base import StoreBase


class StaleReads:
    """A store as a dry run uses it: what it reads may be some seconds old, see `StoreBase.read_stale`."""

    def __init__(self, store: StoreBase) -> None:
        self._store = store
        self.read = store.read_stale
        self.run_in_queue = store.run_in_queue
        self.run_concurrently = store.run_concurrently
        self.turns = store.objects.turns

    @property
    def idle_seconds(self) -> float:
        """See `StoreBase.idle_seconds`."""
        return self._store.idle_seconds
