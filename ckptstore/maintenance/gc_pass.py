"""The options of one pass of garbage collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

#: Longer than the longest upload, and than a graph takes from storing a blob to storing the checkpoint that holds its handle.
DEFAULT_GRACE = timedelta(hours=24)

_MICROSECOND = timedelta(microseconds=1)
#: How many objects a statement takes at most.
PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class GcPass:
    """The options of one pass.

    Args:
        now: the current time in microseconds since 1970, UTC.
        grace: how long an object is kept after a writer last confirmed it, and again after it was marked.
        dry_run: change nothing, and report what a pass would do.
    """

    now: int
    grace: timedelta
    dry_run: bool = False

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of the statements."""
        return {"now": self.now, "before": self.now - self.grace // _MICROSECOND, "page_size": PAGE_SIZE}
