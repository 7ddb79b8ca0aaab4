"""What a caller gives a prune: how it follows it, and stops it early."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckptstore.maintenance.reports import PruneReport


def ignore_progress(_report: PruneReport) -> None:
    """Do nothing with a report of the progress."""


def never_stop() -> bool:
    """Let a prune run to its end."""
    return False


class PruneCallbacks(NamedTuple):
    """How a caller follows a prune, and stops it early."""

    #: Called after each transaction with what was deleted so far.
    progress: Callable[[PruneReport], None] = ignore_progress
    #: Called before each transaction and before each page of threads is read; True stops the prune.
    should_stop: Callable[[], bool] = never_stop


NO_CALLBACKS = PruneCallbacks()
