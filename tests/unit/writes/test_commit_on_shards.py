"""How the writes to a shard are given to the function that stores them on its node."""

from __future__ import annotations

import pytest

from ckptstore.db.sql.node_function import SHARD_PARTS
from ckptstore.writes.commit_on_shards import _NodeCall
from tests.support.attempts import task_writes
from tests.support.batches import small_checkpoint

# Of each shard: threads whose writes are stored by themselves, and how often the function is given the shard.
CASES = {"one": (["t"], 1), "a few": (["c", "a", "b"], 3), "more": (["c", "a", "b", "d"], 1)}


@pytest.mark.parametrize("case", CASES)
def test_a_few_writes_to_a_shard_are_stored_by_themselves(case: str) -> None:
    threads, times = CASES[case]
    call = _NodeCall()
    for number, thread_id in enumerate(threads):
        call.add(7, number, small_checkpoint(thread_id, "1"))
    call.add(9, len(threads), small_checkpoint("other", "1"))
    parameters = call.parameters(1.0)
    assert parameters["shards"] == "{" + ",".join(["7"] * times + ["9"]) + "}"
    assert parameters["parts"].count('","') + 1 == len(SHARD_PARTS) * (times + 1)
    assert call.stored(";" * times) == set(range(len(threads) + 1))


def test_they_are_in_the_order_of_their_threads_and_of_the_batch() -> None:
    call = _NodeCall()
    for number, write in enumerate([small_checkpoint("b", "1"), task_writes("b", "task"), small_checkpoint("a", "1")]):
        call.add(7, number, write)
    call.parameters(1.0)
    # Of the first answer nothing was stored: it is that of the thread `a`.
    assert call.stored("1;;") == {0, 1}
    assert call.stored(";1;") == {1, 2}
