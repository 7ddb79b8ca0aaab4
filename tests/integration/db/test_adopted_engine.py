"""A database behind an engine that the caller owns."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ckptstore.db.adopted_engine import adopt_engine
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import InvalidConfig


def test_connections_are_of_a_pool_of_its_own_and_the_engines_listeners_see_them(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'checkpoints.sqlite'}")
    opened: list[object] = []
    event.listen(engine.sync_engine, "connect", lambda connection, _entry: opened.append(connection))
    runner = adopt_engine(engine, DatabaseSettings())
    try:
        assert runner.read(lambda db: db.execute("SELECT 1").scalar_one()).result() == 1
    finally:
        runner.close()
    assert len(opened) == 1
    assert isinstance(engine.pool, AsyncAdaptedQueuePool)
    assert (engine.pool.checkedin(), engine.pool.checkedout()) == (0, 0)


def test_a_schema_needs_postgresql(tmp_path: Path) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'checkpoints.sqlite'}")
    with pytest.raises(InvalidConfig):
        adopt_engine(engine, DatabaseSettings(), "tenant")
