"""What waits in the queue of a saver that follows, and in which order it is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptstore.errors import StoreClosed, StoreMoved
from ckptstore.runtime.steps import drive
from ckptstore.transfer.moving import unseal
from tests.support.build import checkpoint, config, metadata
from tests.support.places import DIRECTIONS, Places, end_of_move, put, refused, seal, two_places
from tests.support.transfers import contents, threads_of


@pytest.fixture(params=DIRECTIONS)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    with two_places(request, tmp_path) as places:
        yield places


async def test_writes_wait_for_the_end_of_the_move_in_the_order_of_the_calls(places: Places) -> None:
    saver = places.follower()
    where = await asyncio.to_thread(put, saver, "line", 0)
    made = checkpoint({"n": 0}, {"n": "00000000.x"})
    await asyncio.to_thread(seal, places)
    tasks = []
    for number in range(1, 40):
        # One checkpoint, again and again: what is stored in the end is what was put last.
        again = {**made, "channel_values": {"n": number}, "channel_versions": {"n": f"{number:08}.x"}}
        tasks.append(asyncio.ensure_future(saver.aput(where, again, metadata(number), {"n": f"{number:08}.x"})))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    await refused(saver, len(tasks))
    assert not any(task.done() for task in tasks)
    # Reads need not wait: nothing newer is anywhere.
    assert (await saver.aget_tuple(config("line"))) is not None
    end_of_move(places)
    # On this loop's thread, which it blocks: the others can't do anything meanwhile.
    last = {**made, "channel_values": {"n": 100}, "channel_versions": {"n": "00000100.x"}}
    saver.put(where, last, metadata(100), {"n": "00000100.x"})  # type: ignore[arg-type]
    await asyncio.gather(*tasks)
    newest = await saver.aget_tuple(config("line"))
    assert newest is not None
    assert newest.checkpoint["channel_values"] == {"n": 100}
    assert saver.stats().queue_depth == 0


async def test_a_move_that_is_taken_back_leaves_it_where_it_is(places: Places) -> None:
    saver = places.follower()
    await asyncio.to_thread(seal, places)
    task = asyncio.ensure_future(asyncio.to_thread(put, saver, "new"))
    other = asyncio.ensure_future(saver.aput(config("other"), checkpoint({}), metadata(0), {}))
    await refused(saver, 2)
    assert await asyncio.to_thread(lambda: drive(unseal(places.open().store)))
    await task
    await other
    with places.open() as here:
        assert await asyncio.to_thread(threads_of, here) == ["new", "other", "t0", "t1", "t2"]
    assert (await asyncio.to_thread(lambda: drive(places.move().run()))).done
    await asyncio.to_thread(put, saver, "after")
    with places.open(places.other) as there:
        assert await asyncio.to_thread(threads_of, there) == ["after", "new", "other", "t0", "t1", "t2"]


async def test_who_is_cancelled_meanwhile_holds_nobody_up(places: Places) -> None:
    saver = places.follower()
    await asyncio.to_thread(seal, places)
    tasks = [asyncio.ensure_future(saver.aput(config("line"), checkpoint({}, id=f"{n}"), metadata(n), {})) for n in range(3)]
    await refused(saver, 3)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    await asyncio.to_thread(end_of_move, places)
    await asyncio.gather(*tasks[1:])
    with places.open(places.other) as there:
        assert {dict(key)["checkpoint_id"] for key in await asyncio.to_thread(contents, there, "line")} == {"1", "2"}


async def test_closing_ends_the_wait(places: Places) -> None:
    saver = places.follower()
    await asyncio.to_thread(seal, places)
    task = asyncio.ensure_future(saver.aput(config("new"), checkpoint({}), metadata(0), {}))
    await refused(saver, 1)
    await saver.aclose()
    # Whichever is noticed first.
    with pytest.raises((StoreMoved, StoreClosed)):
        await task
