"""Transient errors are repeated within bounds, once the database has answered at all."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from sqlalchemy import make_url

from ckptstore.db.retries import Retries, seconds_from_now
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable, StatementRefused
from ckptstore.monitoring.monitor import Monitor

URL = make_url("postgresql+asyncpg://db.example/name")


class StateError(Exception):
    """A driver's error with a SQLSTATE."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("from the driver")
        self.sqlstate = sqlstate


def failing(*states: str) -> tuple[Callable[[], str], list[str]]:
    """A function that fails with these errors, one a call, and then succeeds; and the errors that are left."""
    left = list(states)

    def attempt() -> str:
        if left:
            raise StateError(left.pop(0))
        return "done"

    return attempt, left


def reached() -> Retries:
    """Retries of a database that has answered before."""
    retries = Retries(URL, DatabaseSettings(), Monitor(), on_file=False)
    assert retries.run(seconds_from_now(30), lambda: "hello") == "hello"
    return retries


def test_a_transient_error_is_repeated_until_it_succeeds() -> None:
    attempt, left = failing("40001", "40P01")
    assert reached().run(seconds_from_now(30), attempt) == "done"
    assert left == []


async def test_a_coroutine_is_repeated_too() -> None:
    attempt, left = failing("40001", "08006")

    async def attempt_async() -> str:
        return attempt()

    assert await reached().run_async(seconds_from_now(30), attempt_async) == "done"
    assert left == []


def test_another_error_is_raised_at_once_and_translated() -> None:
    attempt, left = failing("23505", "23505")
    with pytest.raises(StatementRefused) as caught:
        reached().run(seconds_from_now(30), attempt)
    assert len(left) == 1
    assert isinstance(caught.value.__cause__, StateError)


def test_a_database_that_never_answered_is_reported_at_once() -> None:
    attempt, left = failing("08006", "08006")
    with pytest.raises(DatabaseUnavailable):
        Retries(URL, DatabaseSettings(), Monitor(), on_file=False).run(seconds_from_now(30), attempt)
    assert len(left) == 1


def test_retries_end_with_the_error_of_the_last_attempt() -> None:
    attempt, _ = failing(*["40001"] * 1_000)
    with pytest.raises(DatabaseUnavailable, match="from the driver"):
        reached().run(seconds_from_now(0.01), attempt)


async def test_without_time_one_attempt_is_made() -> None:
    attempt, left = failing("40001", "40001", "40001")

    async def attempt_async() -> str:
        return attempt()

    with pytest.raises(DatabaseUnavailable):
        reached().run(seconds_from_now(0), attempt)
    assert len(left) == 2
    with pytest.raises(DatabaseUnavailable):
        await reached().run_async(seconds_from_now(0), attempt_async)
    assert len(left) == 1


def test_a_defect_is_neither_repeated_nor_translated() -> None:
    calls: list[int] = []

    def attempt() -> None:
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        reached().run(seconds_from_now(30), attempt)
    assert calls == [1]


def test_repetitions_are_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    retries = reached()
    attempt, _ = failing("40001", "40P01", "08006")
    with caplog.at_level(logging.INFO):
        retries.run(seconds_from_now(30), attempt)
    assert retries._monitor.counters.retries == 3
    events = [(record.__dict__["event"], record.__dict__["error"]) for record in caplog.records]
    assert events == [("database_retry", "DatabaseUnavailable")] * 3
