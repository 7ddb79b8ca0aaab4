"""The queue of requests for a thread: one holds it, the others follow in the order of asking, and the dead are left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.writes.leases import Answer, Departure, NewRequest, RequestKey, ask, leave, renew, states
from tests.support.databases import DATABASES, url_of
from tests.support.leases import pass_time, queue
from tests.support.shards import as_on_shards

TTL = 30


def request(name: str, thread_id: str = "t") -> NewRequest:
    return NewRequest(thread_id, f"fence of {name}", f"host of {name}", 7, name, TTL * 1_000_000)


def key(name: str, thread_id: str = "t") -> RequestKey:
    return RequestKey(thread_id, f"fence of {name}")


@pytest.fixture(params=[*DATABASES, "asyncpg shards"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SQLAlchemySaver]:
    database, _, shards = request.param.partition(" ")
    with SQLAlchemySaver.from_conn_string(url_of(database, request, tmp_path)) as saver:
        saver.setup()
        if shards:
            asyncio.run(as_on_shards(saver))
        yield saver


def run(saver: SQLAlchemySaver, work: Callable[..., Any], *args: Any, **options: Any) -> Any:
    return saver.store.runner.write(lambda db: work(db, *args, **options)).result()


def asks(saver: SQLAlchemySaver, name: str, *, may_wait: bool = True) -> Answer:
    answer: Answer = run(saver, ask, request(name), may_wait=may_wait)
    return answer


def test_requests_follow_in_the_order_of_asking(saver: SQLAlchemySaver) -> None:
    assert asks(saver, "a") == Answer(True)
    for name in "bcd":
        answer = asks(saver, name)
        assert (answer.is_granted, answer.holder and answer.holder.label) == (False, "a")
    assert queue(saver) == ["a", "b", "c", "d"]
    # Whoever asks again keeps its place.
    assert not asks(saver, "c").is_granted
    assert asks(saver, "a").is_granted
    assert run(saver, leave, key("c")) == Departure(True, "fence of a")
    assert run(saver, leave, key("a")) == Departure(True, "fence of b")
    assert asks(saver, "b").is_granted
    assert queue(saver) == ["b", "d"]
    assert run(saver, leave, key("b")) == Departure(True, "fence of d")
    assert run(saver, leave, key("d")) == Departure(True)
    assert run(saver, leave, key("d")) == Departure(False)
    assert queue(saver) == []


def test_who_may_not_wait_is_told_who_holds_it_and_until_when(saver: SQLAlchemySaver) -> None:
    asks(saver, "a")
    answer = asks(saver, "b", may_wait=False)
    assert answer.holder is not None
    assert (answer.is_granted, answer.holder.host, answer.holder.pid, answer.holder.label) == (False, "host of a", 7, "a")
    assert answer.holder.expires_at >= answer.holder.since + TTL * 1_000_000
    assert queue(saver) == ["a"]


def test_threads_have_queues_of_their_own(saver: SQLAlchemySaver) -> None:
    assert asks(saver, "a").is_granted
    assert run(saver, ask, request("a", "other"), may_wait=False).is_granted
    assert (queue(saver), queue(saver, "other")) == (["a"], ["a"])


def test_an_expired_holder_is_replaced_by_the_first_that_waits(saver: SQLAlchemySaver) -> None:
    for name in "abc":
        asks(saver, name)
    pass_time(saver, TTL, "a")
    # Not by whoever looks.
    answer = asks(saver, "d")
    assert answer.holder is not None
    assert answer.holder.label == "b"
    assert queue(saver) == ["b", "c", "d"]
    assert run(saver, renew, [key("a"), key("b")]) == {key("b")}


def test_the_dead_that_wait_are_passed_over(saver: SQLAlchemySaver) -> None:
    for name in "abcd":
        asks(saver, name)
    for name in "bc":
        pass_time(saver, TTL, name)
    assert run(saver, leave, key("a")) == Departure(True, "fence of d")
    assert queue(saver) == ["d"]


def test_the_only_request_may_expire_and_be_taken_up_again_by_itself(saver: SQLAlchemySaver) -> None:
    asks(saver, "a")
    pass_time(saver, 2 * TTL)
    assert asks(saver, "a", may_wait=False).is_granted
    assert run(saver, renew, [key("a")]) == {key("a")}
    assert not asks(saver, "b", may_wait=False).is_granted
    pass_time(saver, 2 * TTL)
    assert asks(saver, "b", may_wait=False).is_granted
    assert queue(saver) == ["b"]


def test_who_waits_sees_when_to_ask_again(saver: SQLAlchemySaver) -> None:
    for name in "abc":
        asks(saver, name)

    def seen() -> dict[str, tuple[int, bool]]:
        found = run(saver, states, [key(name) for name in "abcd"])
        return {each.fence[-1]: (each.place, bool(each.is_free)) for each in found}

    assert seen() == {"a": (0, False), "b": (1, False), "c": (2, False)}
    pass_time(saver, TTL, "a")
    assert seen() == {"a": (0, True), "b": (1, True), "c": (2, True)}
    # As after a statement of somebody else's.
    run(saver, lambda db: db.execute("DELETE FROM ckpt_lease WHERE label = 'a'"))
    assert seen() == {"b": (1, True), "c": (2, True)}


def test_who_takes_over_is_the_holder_at_once_and_for_every_repetition(saver: SQLAlchemySaver) -> None:
    for name in "ab":
        asks(saver, name)
    for _ in range(2):
        assert run(saver, ask, request("c"), may_wait=False, take_over=True).is_granted
        assert queue(saver) == ["c", "b"]
    assert run(saver, leave, key("a")) == Departure(False, "fence of c")
    # Of a thread that nobody holds.
    assert run(saver, ask, request("c", "free"), may_wait=False, take_over=True).is_granted
