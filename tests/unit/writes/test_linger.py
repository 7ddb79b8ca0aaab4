"""How long a batch lingers, and for how many."""

from __future__ import annotations

import pytest

from ckptstore.writes.linger import BatchTarget, GroupCommitPolicy


def names(count: int, first: int = 0) -> frozenset[str]:
    return frozenset(f"t{n}" for n in range(first, first + count))


def test_a_lone_thread_waits_for_nobody() -> None:
    policy = GroupCommitPolicy()
    for _ in range(3):
        assert policy.target(names(1), queued=False) == BatchTarget(1, alternating=False)
        policy.committed(names(1), 0.01)


def test_one_caller_that_alternates_between_threads_waits_for_nobody() -> None:
    policy = GroupCommitPolicy()
    for turn in range(4):
        assert policy.target(names(1, first=turn % 2), queued=False) == BatchTarget(1, alternating=False)
        policy.committed(names(1, first=turn % 2), 0.01)


def test_two_callers_come_together_once_one_of_them_had_to_wait() -> None:
    policy = GroupCommitPolicy()
    policy.committed(names(1), 0.01)
    assert policy.target(names(1, first=1), queued=True) == BatchTarget(2, alternating=False)


def test_few_threads_wait_for_those_of_the_last_batch() -> None:
    policy = GroupCommitPolicy()
    policy.committed(names(3), 0.01)
    assert policy.target(names(1), queued=False) == BatchTarget(3, alternating=False)
    assert policy.target(names(1, first=9), queued=False) == BatchTarget(4, alternating=False)


def test_many_threads_alternate_in_two_groups() -> None:
    policy = GroupCommitPolicy()
    policy.committed(names(5), 0.01)
    policy.committed(names(4, first=5), 0.01)
    assert policy.target(names(5), queued=False) == BatchTarget(5, alternating=True)


def test_threads_that_stay_away_are_forgotten_after_two_batches() -> None:
    policy = GroupCommitPolicy()
    policy.committed(names(20), 0.01)
    for _ in range(2):
        policy.committed(names(1), 0.01)
    assert policy.target(names(1), queued=False) == BatchTarget(1, alternating=False)


@pytest.mark.parametrize(("seconds", "linger"), [(0.0, 0.0), (0.004, 0.002), (10.0, 0.005)])
def test_a_batch_lingers_for_half_of_what_the_last_one_took_and_never_long(seconds: float, linger: float) -> None:
    policy = GroupCommitPolicy()
    policy.committed(names(2), seconds)
    assert policy.linger_seconds == pytest.approx(linger)


def test_all_nodes_store_at_the_same_time_for_few_threads_and_half_of_them_for_many() -> None:
    policy = GroupCommitPolicy()
    for number in range(4):
        policy.committed(frozenset({f"thread-{number}"}), 0.01)
    assert policy.nodes_at_a_time(1) == 1
    assert policy.nodes_at_a_time(2) == 2
    for number in range(2):
        policy.committed(frozenset(f"thread-{number}-{each}" for each in range(4)), 0.01)
    assert policy.nodes_at_a_time(2) == 1
    # Twelve threads of late: for five nodes that is few, for three it is not.
    assert policy.nodes_at_a_time(5) == 5
    assert policy.nodes_at_a_time(3) == 2


def test_what_was_written_long_ago_says_nothing_about_nodes() -> None:
    policy = GroupCommitPolicy()
    policy.committed(frozenset(f"thread-{each}" for each in range(50)), 0.01)
    assert policy.nodes_at_a_time(2) == 1
    for _ in range(4):
        policy.committed(frozenset({"thread-0"}), 0.01)
    assert policy.nodes_at_a_time(2) == 2
