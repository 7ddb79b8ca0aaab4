"""Until when a write may be tried."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from time import monotonic

from ckptstore.errors import DatabaseUnavailable
from ckptstore.writes.batch import Batch
from ckptstore.writes.entry import QueueEntry, State

# Entries that have no more than this part of their time left fail together: an attempt for each would gain nothing.
_SLACK_RATIO = 0.05
# The runner gives up so much before the deadline at most: it does not begin a pause that would end later.
_MAX_PAUSE_SECONDS = 1.5
_WAITING_SINCE = attrgetter("waiting_since")


class Deadlines:
    """An entry fails when the database has not answered for `retry_seconds` while it waited.

    Its deadline counts from the moment at which it was submitted (with its large parts uploaded), or at which the database answered
    last, whichever is later: an entry that waits for others which succeed keeps all of its time, and one that waits for others which
    do not has no more than they have.

    Args:
        retry_seconds: see `DatabaseSettings`.
    """

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._answered_at = -math.inf
        #: Why the last batch failed, if the database did not answer, and when that was.
        self.fault: DatabaseUnavailable | None = None
        self._failed_at = -math.inf

    def answered(self) -> None:
        """Note that the database stored or refused something."""
        self._answered_at, self.fault = monotonic(), None

    def failed(self, exc: BaseException) -> None:
        """Note why a batch failed."""
        if isinstance(exc, DatabaseUnavailable):
            self.fault, self._failed_at = exc, monotonic()
        else:
            self.answered()

    def why_in_vain(self, entry: QueueEntry) -> DatabaseUnavailable | None:
        """The fault with which an entry fails whose time is over, without an attempt of its own; None if it is to be tried.

        One that came after the fault is tried in any case, however short its time: the database may be back.
        """
        return self.fault if entry.waiting_since < self._failed_at and self.has_passed(entry) else None

    def of(self, entry: QueueEntry) -> float:
        """The deadline of an entry, by the monotonic clock."""
        return max(entry.waiting_since, self._answered_at) + self._retry_seconds

    def first_of(self, entries: Iterable[QueueEntry]) -> float:
        """The earliest deadline of some entries."""
        waiting_since: float = min(map(_WAITING_SINCE, entries))
        return max(waiting_since, self._answered_at) + self._retry_seconds

    def answered_since(self, entry: QueueEntry) -> bool:
        """Whether the database answered while an entry waited."""
        return entry.waiting_since < self._answered_at

    def has_passed(self, entry: QueueEntry) -> bool:
        """Whether it is not worth while to try an entry again."""
        return self.of(entry) <= monotonic() + self._retry_seconds * _SLACK_RATIO

    def run_out(self, batch: Batch, exc: DatabaseUnavailable, deadline: float, pending: Iterable[QueueEntry]) -> Sequence[QueueEntry]:
        """The entries that fail with a batch: all if the fault is not repeated, or else those whose time is over.

        Args:
            batch: the batch.
            exc: why it failed.
            deadline: until when it might be repeated.
            pending: all entries, in order.
        """
        if not exc.transient or monotonic() < deadline - _MAX_PAUSE_SECONDS:
            return batch.entries
        failed = [entry for entry in batch.entries if self.of(entry) <= batch.deadline or self.has_passed(entry)]
        return failed + self._waited_behind(failed, pending)

    def _waited_behind(self, failed: Sequence[QueueEntry], entries: Iterable[QueueEntry]) -> list[QueueEntry]:
        """The entries that waited behind failed ones of their threads, although others may have been stored meanwhile."""
        threads = frozenset([thread for entry in failed for thread in entry.threads])
        over = monotonic() - self._retry_seconds * (1 - _SLACK_RATIO)
        behind = [entry for entry in entries if entry.state is not State.UNDER_WAY and not entry.abandoned and entry.waiting_since <= over]
        return [entry for entry in behind if entry not in failed and not threads.isdisjoint(entry.threads)]
