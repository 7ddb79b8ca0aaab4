"""A batch has writes of one node, and order within each thread is kept."""

from __future__ import annotations

from collections.abc import Sequence

from ckptstore.db.shard_map import Shard, ShardMap
from ckptstore.db.text_hash import text_hash
from ckptstore.writes.entry import QueueEntry, State
from ckptstore.writes.one_node import node_of, of_one_node
from tests.support.attempts import task_writes

KNOWN = ShardMap("public", [-(2**31), 0], [Shard(100, 1), Shard(101, 2)])
ON_1, ON_2 = ([f"t{number}" for number in range(40) if (text_hash(f"t{number}") >= 0) is above] for above in (False, True))


def entry(thread: str, state: State = State.READY) -> QueueEntry:
    made = QueueEntry((thread,), None, None)
    made.state = state
    made.write = task_writes(thread, "w") if state is State.READY else None
    return made


def work(*threads: str) -> QueueEntry:
    return QueueEntry(threads, None, lambda _db: None)


def chosen(entries: Sequence[QueueEntry], *busy: int) -> list[int]:
    found = [*of_one_node(entries, KNOWN, frozenset(busy))]
    return [number for number, each in enumerate(entries) if each in found]


def test_the_first_one_says_which_node() -> None:
    assert chosen([entry(ON_1[0]), entry(ON_2[0]), entry(ON_1[1])]) == [0, 2]
    assert chosen([entry(ON_2[0]), entry(ON_1[0]), entry(ON_1[1])]) == [0]


def test_a_busy_nodes_writes_wait() -> None:
    entries = [entry(ON_1[0]), entry(ON_2[0]), entry(ON_1[1]), entry(ON_2[1])]
    assert chosen(entries, 1) == [1, 3]
    assert chosen(entries, 1, 2) == []


def test_one_that_is_not_ready_chooses_nothing() -> None:
    assert chosen([entry(ON_1[0], State.ENCODING), entry(ON_2[0]), entry(ON_1[1])]) == [0, 1]


def test_work_waits_for_earlier_writes_of_its_threads() -> None:
    assert chosen([entry(ON_1[0]), work(ON_1[0], ON_2[0]), work(ON_2[1])], 1) == [2]
    assert chosen([entry(ON_1[0]), work(ON_1[0]), work()]) == [0, 1, 2]
    # And later ones for work that waits.
    assert chosen([entry(ON_1[0]), work(ON_1[0], ON_2[0]), work(ON_2[0])], 1) == []


def test_writes_without_a_function_are_of_no_node() -> None:
    partly = ShardMap("public", [-(2**31), 0], [None, Shard(101, 2)])
    assert [node_of(entry(thread), partly) for thread in (ON_1[0], ON_2[0])] == [-1, 2]
    assert node_of(work(ON_1[0]), partly) is None
