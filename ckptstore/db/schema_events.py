"""Events of the log about changes of the schema."""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


def log_started(before: str | None, wanted: str) -> None:
    """Log that the schema is about to be changed; nothing if it is as wanted.

    Args:
        before: its revision; None if there is none.
        wanted: the revision that it is to have.
    """
    if before != wanted:
        fields = {"event": "schema_change_started", "before": before, "wanted": wanted}
        logger.log(_level(before), "the schema is being changed from revision %s to %s", before, wanted, extra=fields)


def log_changed(before: str | None, after: str | None, seconds: float) -> None:
    """Log that a change of the schema was committed; nothing if there was none.

    Args:
        before: its revision; None if there was none.
        after: its revision now; None if it was removed.
        seconds: what it took, with the wait for other processes.
    """
    if before != after:
        fields = {"event": "schema_changed", "before": before, "after": after, "seconds": seconds}
        logger.log(_level(before), "the schema was changed from revision %s to %s in %.3f s", before, after, seconds, extra=fields)


def _level(before: str | None) -> int:
    # The first use of a database is no news for an application that logs at INFO.
    return logging.DEBUG if before is None else logging.INFO
