"""The lease of a thread, as its holder sees it."""

from __future__ import annotations

import logging
from enum import Enum, auto
from time import monotonic

from ckptstore.errors import LeaseLost
from ckptstore.runtime.random_ids import random_text

logger = logging.getLogger(__name__)

# A multiple of three, see `random_text`.
_FENCE_BYTES = 15


class LeaseState(Enum):
    """What became of a request for a thread."""

    #: Asked for, and not granted yet.
    WAITING = auto()
    HELD = auto()
    #: Another one took the thread after the lease had expired.
    LOST = auto()
    #: Released by its holder.
    RELEASED = auto()


class ThreadLease:
    """The right to be the only one who writes to a thread, from `SQLAlchemySaver.hold` and `ahold`.

    Attributes:
        thread_id: the thread.
        label: what the holder calls itself.
        fence: a random text of this lease alone. The database stores a write of its holder only as long as the lease is held.
        ttl: seconds for which it outlives a holder that does not renew it.
    """

    __slots__ = ("fence", "idle_since", "label", "renewed_at", "state", "thread_id", "ttl")

    def __init__(self, thread_id: str, label: str, ttl: float) -> None:
        self.thread_id = thread_id
        self.label = label
        self.ttl = ttl
        self.fence = random_text(_FENCE_BYTES)
        self.state = LeaseState.WAITING
        #: When it was renewed last, by the monotonic clock of this process.
        self.renewed_at = monotonic()
        #: When its holder last did something, by the same clock, where nothing tells when the holder ends: a lease that is idle for its
        #: ttl is not renewed. None for one that its holder releases.
        self.idle_since: float | None = None

    @property
    def is_lost(self) -> bool:
        """Whether it is known that another one has the thread. A put finds out for certain, in the transaction that would store it."""
        return self.state is LeaseState.LOST

    def check(self) -> None:
        """Return if nothing is known of a loss: for a holder that is about to do something outside of the database.

        Raises:
            LeaseLost: the lease was lost, or released.
        """
        if self.state is not LeaseState.HELD:
            raise self._error()

    def used(self) -> None:
        """Note that its holder does something."""
        if self.idle_since is not None:
            self.idle_since = monotonic()

    def lose(self) -> LeaseLost:
        """Note that another one has taken the thread; returns the error to raise."""
        if self.state is LeaseState.HELD:
            self.state = LeaseState.LOST
            fields = {"event": "thread_lease_lost", "thread_id": self.thread_id, "label": self.label}
            logger.warning("the lease of thread %r was lost: another one has it", self.thread_id, extra=fields)
        return self._error()

    def _error(self) -> LeaseLost:
        if self.state is LeaseState.RELEASED:
            return LeaseLost(f"the lease of thread {self.thread_id!r} was released; hold the thread again before writing", self.thread_id)
        return LeaseLost(
            f"another one has thread {self.thread_id!r} now: it took the thread over, or the lease was not renewed for {self.ttl:g} s; "
            "nothing was stored since; hold the thread again and read its state anew",
            self.thread_id,
        )

    def __repr__(self) -> str:
        """Thread, label and state."""
        return f"<ThreadLease of {self.thread_id!r}{f' by {self.label!r}' if self.label else ''}: {self.state.name.lower()}>"
