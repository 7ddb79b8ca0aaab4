"""Waiting for the locks of an upgrade looks like a silent server: the error says what it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from ckptstore.db.connection import Db
from ckptstore.db.error_mapping import ServerSilent
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
    """
    try:
        return await repeat()
    except DatabaseUnavailable as exc:
        since = await _upgrade_since(attempt) if isinstance(exc.__cause__, ServerSilent) else None
        if since is None:
            raise
        message = f"another process is changing the schema since {since} UTC, and has tables locked; try again when it is done ({exc})"
        raise UpgradeUnderWay(message) from exc.__cause__


async def _upgrade_since(attempt: Attempt) -> str | None:
    with suppress(Exception):
        async with asyncio.timeout(_LOOK_SECONDS):
            return await attempt(server_upgrade_since, seconds_from_now(_LOOK_SECONDS))
    return None
