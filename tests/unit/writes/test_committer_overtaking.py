"""Several batches under way, where the database has several connections for them: a batch that takes long holds up only its threads."""

from __future__ import annotations

from itertools import count
from time import monotonic
from unittest import mock

from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.shard_map import Shard, ShardMap
from ckptstore.db.text_hash import text_hash
from ckptstore.errors import DatabaseUnavailable
from ckptstore.writes import under_way
from tests.support.write_queue import ManualRunner, queue_on, submit

HOURS = count(1)


def overtaking(max_batches: int = 2) -> ManualRunner:
    runner = ManualRunner()
    runner.max_batches = max_batches
    return runner


def let_time_pass(runner: ManualRunner) -> None:
    """The batches that are under way have been for long."""
    timers, runner.timers = runner.timers, []
    with mock.patch.object(under_way, "monotonic", return_value=monotonic() + next(HOURS) * 3600):
        for timer in timers:
            timer()


def test_a_batch_that_takes_long_is_overtaken_by_other_threads_only() -> None:
    runner = overtaking()
    queue = queue_on(runner)
    slow = submit(queue, "t", "slow")
    behind = submit(queue, "t", "behind")
    other = submit(queue, "u", "other")
    assert len(runner.under_way) == 1
    let_time_pass(runner)
    assert len(runner.under_way) == 2
    runner.under_way.reverse()
    runner.finish_one()
    assert other.result(0) is None
    assert not slow.done()
    later = submit(queue, "v", "later")
    assert len(runner.under_way) == 2
    runner.finish_all()
    assert behind.result(0) is None
    assert later.result(0) is None
    assert runner.batches == [["other"], ["slow"], ["later"], ["behind"]]


def test_no_more_batches_are_under_way_than_there_are_connections_for() -> None:
    runner = overtaking()
    queue = queue_on(runner)
    futures = [submit(queue, f"t{n}", str(n)) for n in range(3)]
    let_time_pass(runner)
    futures += [submit(queue, f"t{n}", str(n)) for n in range(3, 5)]
    let_time_pass(runner)
    assert len(runner.under_way) == 2
    runner.finish_all()
    assert runner.batches == [["0"], ["1", "2"], ["3", "4"]]
    assert all(future.done() for future in futures)


def test_a_batch_that_ended_in_time_is_not_overtaken() -> None:
    runner = overtaking()
    queue = queue_on(runner)
    submit(queue, "t", "0")
    runner.finish_one()
    for n in range(1, 4):
        submit(queue, f"t{n}", str(n))
    runner.timers.pop(0)()
    assert len(runner.under_way) == 1
    runner.finish_all()
    assert runner.batches == [["0"], ["1"], ["2", "3"]]


def test_work_that_runs_alone_holds_up_only_its_threads() -> None:
    runner = overtaking()
    queue = queue_on(runner)
    queue.run(lambda _db: runner.batches.append(["work"]), "t")
    submit(queue, "t", "behind")
    submit(queue, "u", "other")
    assert len(runner.under_way) == 2
    runner.under_way.reverse()
    runner.finish_all()
    assert runner.batches == [["other"], ["work"], ["behind"]]


def test_what_waited_behind_a_write_in_vain_fails_with_it_although_others_were_stored() -> None:
    runner = overtaking()
    queue = queue_on(runner, settings=DatabaseSettings(retry_seconds=0))
    first, behind = submit(queue, "t", "first"), submit(queue, "t", "behind")
    let_time_pass(runner)
    other = submit(queue, "u", "other")
    stuck, _ = runner.under_way.pop(0)
    runner.finish_one()
    assert other.done()
    stuck.set_exception(DatabaseUnavailable("locked"))
    assert isinstance(first.exception(0), DatabaseUnavailable)
    assert isinstance(behind.exception(0), DatabaseUnavailable)


def test_on_shards_each_node_has_a_batch_of_its_own() -> None:
    runner = overtaking(max_batches=4)
    runner.abilities.shard_map = ShardMap("public", [-(2**31), 0], [Shard(100, 1), Shard(101, 2)])
    one, other = ([f"t{number}" for number in range(20) if (text_hash(f"t{number}") >= 0) is above][:3] for above in (False, True))
    queue = queue_on(runner)
    first = [submit(queue, thread, thread) for thread in (one[0], other[0])]
    assert len(runner.under_way) == 2
    # They wait for their node's batch, and are one batch.
    later = [submit(queue, thread, thread) for thread in (one[1], other[1], one[2])]
    assert len(runner.under_way) == 2
    runner.finish_all()
    assert [future.result(0) for future in (*first, *later)] == [None] * 5
    assert sorted(runner.batches) == sorted([[one[0]], [other[0]], [one[1], one[2]], [other[1]]])
