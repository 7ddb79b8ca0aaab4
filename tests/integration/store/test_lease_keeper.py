"""The worker thread that renews leases: when it runs, what it survives, and what a child of a fork has of it."""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable
from ckptstore.runtime.steps import drive
from ckptstore.store import lease_keeper
from ckptstore.store.lease_keeper import LeaseKeeper
from ckptstore.writes.leases import leave, renew
from ckptstore.writes.thread_lease import LeaseState, ThreadLease
from tests.support.leases import pass_time, queue


def take(saver: SQLAlchemySaver, ttl: float = 30) -> ThreadLease:
    return drive(saver.store.leases.acquire("t", wait_seconds=0, ttl=ttl, label="a"))


def keeper_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ckptstore-leases"]


def test_it_runs_while_there_is_something_to_renew(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "_IDLE_SECONDS", 0.01)
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for _ in range(3):
            lease = take(saver)
            while len(keeper_threads()) != 1:
                pass
            drive(saver.store.leases.release(lease))
            saver.store.leases._keeper._signals.put(None)
            while keeper_threads():
                pass


def test_a_failure_is_logged_and_renewed_later(sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(lease_keeper, "_RETRY_SECONDS", 0.01)
    failures: list[int] = []

    def fails_twice(db: Any, keys: Any) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise DatabaseUnavailable("gone", transient=False)
        return renew(db, keys)

    monkeypatch.setattr(lease_keeper, "renew", fails_twice)
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        lease = take(saver, ttl=0.1)
        began = lease.renewed_at
        while lease.renewed_at == began:
            pass
        lease.check()
    failed = [record for record in caplog.records if getattr(record, "event", "") == "thread_leases_not_renewed"]
    assert [(record.levelno, record.held) for record in failed] == [(logging.ERROR, 1)] * 2  # type: ignore[attr-defined]


def test_a_lease_that_could_not_be_given_back_is_given_back_later(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease_keeper, "_RETRY_SECONDS", 0.01)
    failures: list[int] = []
    given_back = threading.Event()

    def fails_twice(db: Any, key: Any) -> Any:
        if len(failures) < 2:
            failures.append(1)
            raise DatabaseUnavailable("gone", transient=False)
        departure = leave(db, key)
        given_back.set()
        return departure

    monkeypatch.setattr(lease_keeper, "leave", fails_twice)
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.store.leases.abandon(take(saver))
        assert given_back.wait(30)
        assert take(saver).state is LeaseState.HELD


def test_a_renewal_that_finds_nothing_is_a_loss(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        lease = take(saver)
        saver.store.runner.write(lambda db: db.execute("DELETE FROM ckpt_lease")).result()
        lease.renewed_at -= 30
        saver.store.leases._keeper._start()
        while not lease.is_lost:
            pass
        assert saver.store.leases.of("t") is None


def test_a_renewal_reaches_the_database(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        lease = take(saver)
        pass_time(saver, 40)
        lease.renewed_at -= 30
        before = lease.renewed_at
        saver.store.leases._keeper._start()
        while lease.renewed_at == before:
            pass
        expired = "SELECT count(*) FROM ckpt_lease WHERE expires_at <= (julianday('now') - 2440587.5) * 86400000000.0"
        assert saver.store.runner.read(lambda db: db.execute(expired)).result().scalar_one() == 0
        assert queue(saver) == ["a"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_of_a_fork_holds_nothing() -> None:
    keeper = LeaseKeeper(lambda work: work, lambda work: work)
    lease = ThreadLease("t", "", 30)
    lease.state = LeaseState.HELD
    keeper.held[lease_keeper.key_of(lease)] = keeper.by_thread["t"] = lease
    keeper._forget()
    assert lease.state is LeaseState.RELEASED
    assert not keeper.held
    assert not keeper.by_thread
