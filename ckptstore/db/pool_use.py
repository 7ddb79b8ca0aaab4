"""How much of a pool of connections is used."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Pool, QueuePool


class PoolUse(NamedTuple):
    """Connections to a database. All are 0 for pools that don't count theirs, such as that of SQLite in memory."""

    in_use: int = 0
    #: Open, and nobody uses them.
    idle: int = 0
    #: How many may be open.
    limit: int = 0


def pool_use(pool: Pool, kept: int, limit: int | None = None) -> PoolUse:
    """How many connections of a pool are used.

    Args:
        pool: the pool.
        kept: how many were taken out of it and are idle.
        limit: how many may be open; None for the pool's own limit.
    """
    if not isinstance(pool, QueuePool):
        return PoolUse()
    if limit is None:
        limit = pool.size() + max(0, pool._max_overflow)
    return PoolUse(max(0, pool.checkedout() - kept), pool.checkedin() + kept, limit)
