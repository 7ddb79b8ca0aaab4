"""What the parts of `SQLAlchemySaver` share: the store, the clock and the index of metadata."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from langgraph.checkpoint.base import BaseCheckpointSaver

from ckptstore.db.models import to_microseconds
from ckptstore.store.store import Store
from ckptstore.tags.keys import TagKeys


def utc_now() -> datetime:
    """The current time in UTC: the default clock."""
    return datetime.now(UTC)


class SaverBase(BaseCheckpointSaver[str]):
    """Attributes that the saver's constructor sets and that its parts use.

    Each operation is written once, as a generator of futures with a leading underscore (`_prune`); a pair of methods runs it:
    `prune` in the calling thread, `aprune` in an event loop.
    """

    #: Every operation on the database and the blobs.
    store: Store
    #: Gives the time of each write, an aware `datetime`.
    clock: Callable[[], datetime]
    #: The metadata keys that filters can use.
    tag_keys: TagKeys

    def _now(self) -> int:
        """The clock's time in microseconds since 1970, UTC."""
        return to_microseconds(self.clock())
