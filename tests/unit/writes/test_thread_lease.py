"""A lease as its holder sees it."""

from __future__ import annotations

import logging

import pytest

from ckptstore.errors import CkptStoreError, LeaseLost
from ckptstore.writes.thread_lease import LeaseState, ThreadLease


def held(label: str = "") -> ThreadLease:
    lease = ThreadLease("t", label, 30)
    lease.state = LeaseState.HELD
    return lease


def test_only_a_held_lease_passes_the_check() -> None:
    lease = ThreadLease("t", "", 30)
    for state in LeaseState:
        lease.state = state
        if state is LeaseState.HELD:
            lease.check()
        else:
            with pytest.raises(LeaseLost, match="'t'") as raised:
                lease.check()
            assert isinstance(raised.value, CkptStoreError)
            assert raised.value.thread_id == "t"


def test_a_loss_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    lease = held("worker")
    with caplog.at_level(logging.WARNING):
        errors = [lease.lose(), lease.lose()]
    assert [str(error) for error in errors] == [str(errors[0])] * 2
    assert "30 s" in str(errors[0])
    assert [(record.event, record.thread_id, record.label) for record in caplog.records] == [("thread_lease_lost", "t", "worker")]  # type: ignore[attr-defined]
    assert lease.is_lost


def test_one_that_was_given_back_says_so() -> None:
    lease = held()
    lease.state = LeaseState.RELEASED
    assert "was released" in str(lease.lose())
    assert not lease.is_lost


def test_every_lease_has_a_fence_of_its_own_and_shows_no_secret() -> None:
    one, other = held("worker"), held()
    assert one.fence != other.fence
    assert repr(one) == "<ThreadLease of 't' by 'worker': held>"
    assert repr(other) == "<ThreadLease of 't': held>"


def test_use_is_noted_only_where_nothing_tells_the_end() -> None:
    lease = held()
    lease.used()
    assert lease.idle_since is None
    lease.idle_since = 0.0
    lease.used()
    assert lease.idle_since > 0
