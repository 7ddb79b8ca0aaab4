"""How much of a pool is used."""

from __future__ import annotations

import sqlite3
from typing import Any

from sqlalchemy import NullPool, QueuePool

from ckptstore.db.pool_use import PoolUse, pool_use


def connect() -> Any:
    return sqlite3.connect(":memory:")


def test_connections_in_use_and_idle() -> None:
    pool = QueuePool(connect, pool_size=3, max_overflow=2)
    one, other = pool.connect(), pool.connect()
    assert pool_use(pool, 0) == PoolUse(2, 0, 5)
    # One of the two is kept by whoever took it.
    assert pool_use(pool, 1, 9) == PoolUse(1, 1, 9)
    one.close()
    assert pool_use(pool, 0) == PoolUse(1, 1, 5)
    other.close()
    pool.dispose()


def test_a_pool_that_does_not_count() -> None:
    assert pool_use(NullPool(connect), 0) == PoolUse(0, 0, 0)
