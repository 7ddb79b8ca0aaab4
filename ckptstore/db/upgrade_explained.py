"""Waiting for the locks of an upgrade looks like a silent server, or like a thread that is locked: the error says what it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from ckptstore.db.connection import Db
from ckptstore.db.error_mapping import LockHeld, ServerSilent
from ckptstore.db.retries import Deadline, seconds_from_now
from ckptstore.db.upgrade_lock import server_upgrade_since
from ckptstore.errors import DatabaseUnavailable, UpgradeUnderWay

T = TypeVar("T")

# How long it may take to find out why a server was silent.
_LOOK_SECONDS = 1.0

#: Runs work once, until a deadline.
Attempt = Callable[[Callable[[Db], str | None], Deadline], Coroutine[Any, Any, str | None]]


async def explaining_upgrades(repeat: Callable[[], Coroutine[Any, Any, T]], attempt: Attempt) -> T:
    """What `repeat()` returns.

    Args:
        repeat: does work, with its retries. A function, as this may never be awaited: the loop was closed.
        attempt: runs other work on the same database once.

    Raises:
        UpgradeUnderWay: it failed because the server was silent, and another process changes the schema.
        LockHeld: as `repeat` raised it, with `upgrade_since`.
    """
    try:
        return await repeat()
    except LockHeld as exc:
        exc.upgrade_since = await _upgrade_since(attempt)
        raise
    except DatabaseUnavailable as exc:
        since = await _upgrade_since(attempt) if isinstance(exc.__cause__, ServerSilent) else None
        if since is None:
            raise
        raise upgrade_under_way(since, str(exc)) from exc.__cause__


def upgrade_under_way(since: str, details: str) -> UpgradeUnderWay:
    """The error for an operation that an upgrade has kept waiting."""
    locked = f"another process is changing the schema since {since} UTC, and has tables locked"
    return UpgradeUnderWay(f"{locked}; try again when it is done ({details})")


async def _upgrade_since(attempt: Attempt) -> str | None:
    with suppress(Exception):
        async with asyncio.timeout(_LOOK_SECONDS):
            return await attempt(server_upgrade_since, seconds_from_now(_LOOK_SECONDS))
    return None
