"""Connections of a pool are tested when they were idle, or after another one was lost; a busy one is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, QueuePool, create_engine, event
from sqlalchemy.engine import make_url

from ckptstore.db.postgres import ping_when_idle, postgres_engine
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import InvalidUrl


class Pings:
    """A pool of two connections that counts the tests."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.engine = engine
        self.count = 0
        monkeypatch.setattr(engine.dialect, "do_ping", self.ping)

    def ping(self, _connection: object) -> bool:
        self.count += 1
        return True

    def use(self) -> int:
        """Take a connection and give it back; returns how often one was tested."""
        before = self.count
        with self.engine.connect():
            return self.count - before


@pytest.fixture(params=[0.0, 3600.0])
def pings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pings]:
    # The pool is the same for every database.
    engine = create_engine(f"sqlite:///{tmp_path / 'c.sqlite'}", poolclass=QueuePool, pool_size=2)
    ping_when_idle(engine, request.param)
    yield Pings(engine, monkeypatch)
    engine.dispose()


@pytest.mark.parametrize("pings", [3600.0], indirect=True)
def test_a_busy_connection_costs_no_round_trip(pings: Pings) -> None:
    assert [pings.use() for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize("pings", [0.0], indirect=True)
def test_an_idle_connection_is_tested(pings: Pings) -> None:
    assert [pings.use() for _ in range(3)] == [0, 1, 1]


@pytest.mark.parametrize("pings", [3600.0], indirect=True)
def test_once_one_was_lost_the_others_are_tested(pings: Pings) -> None:
    with pings.engine.connect() as one:
        with pings.engine.connect():
            pass
        one.invalidate(OSError("lost"))
    # The one that was there, another one in place of the lost one, and the first again.
    assert [pings.use() for _ in range(3)] == [1, 0, 0]


class ReadOnly(Exception):
    sqlstate = "25006"


@pytest.mark.parametrize("pings", [3600.0], indirect=True)
def test_faults_while_a_connection_is_replaced_are_met_by_its_statement(pings: Pings) -> None:
    opened: list[object] = []

    def fault_elsewhere(connection: object, _entry: object) -> None:
        opened.append(connection)
        pings.engine.pool.dispatch.invalidate(None, None, ReadOnly())

    event.listen(pings.engine, "connect", fault_elsewhere)
    # Each time, the one that is there is replaced, and the new one is as old as the next fault.
    assert [pings.use() for _ in range(3)] == [0, 0, 0]
    assert len(opened) == 3


def test_asyncpg_can_not_do_without_prepared_statements() -> None:
    url = make_url("postgresql+asyncpg://user@host/database")
    with pytest.raises(InvalidUrl, match="postgresql\\+psycopg"):
        postgres_engine(url, DatabaseSettings(prepared_statements=False))
