"""Writes that their callers store themselves, on their own threads.

A caller that writes alone need not switch to the worker thread and back: it executes the one statement that stores its write. SQLite's
lock keeps it apart from the worker thread, so nothing depends on what is noted here: a note lets others wait without polling.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from weakref import ref

from ckptstore.db.runner import Runner
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes import commit_sqlite
from ckptstore.writes.pending import PendingEntries

# Longer than nearly every commit takes. A note that lasts longer is that of a slow disk, or of a caller that was interrupted twice.
_MAX_SECONDS = 0.1


class DirectWrite:
    """Held by a caller that stores a write: where it was interrupted, it ends with its frame."""

    __slots__ = ("__weakref__", "ended", "until")

    def __init__(self) -> None:
        self.ended: SimpleQueue[None] = SimpleQueue()
        self.until = monotonic() + _MAX_SECONDS


class DirectWrites:
    """Stores writes on the threads of their callers, one at a time, mostly.

    Args:
        runner: of the database.
        pending: the entries of the queue: where there are some, a write takes its turn behind them.
        note_committed: called with a write that was stored, and when it began.
    """

    def __init__(self, runner: Runner, pending: PendingEntries, note_committed: Callable[[EncodedWrite, float], object]) -> None:
        self._runner = runner
        self._pending = pending
        self._note_committed = note_committed
        #: Changed by single operations: callers may be interrupted at any bytecode.
        self._current: ref[DirectWrite] | None = None

    def store(self, write: EncodedWrite) -> bool:
        """Store a write with one statement, if nothing else is pending or being stored.

        Returns:
            False, with nothing stored, if that is not possible: then the write is submitted to the queue.
        """
        if self._pending.entries or (self._current is not None and self.current is not None):
            return False
        direct = DirectWrite()
        noted = ref(direct)
        try:
            self._current = noted
            started = monotonic()
            stored = self._runner.try_write(partial(commit_sqlite.insert, batch=(write,)))
            if stored:
                self._note_committed(write, started)
            return stored
        finally:
            if self._current is noted:
                self._current = None
            direct.ended.put(None)

    @property
    def current(self) -> DirectWrite | None:
        """The one that is being stored."""
        noted = self._current
        found = None if noted is None else noted()
        return found if found is not None and monotonic() < found.until else None

    def wait(self) -> None:
        """Wait for the one that is being stored; on a worker thread."""
        if self._current is None:
            # Mostly.
            return
        if (direct := self.current) is not None:
            with suppress(Empty):
                direct.ended.get(timeout=max(0.0, direct.until - monotonic()))
