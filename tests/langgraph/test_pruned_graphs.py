"""Whatever is pruned, deleted or copied: the checkpoints that stay read as before, go on as before, and nothing else stays."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from langgraph.types import Command

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance.prune_plan import CheckpointRef
from tests.support.build import config
from tests.support.clocks import Days
from tests.support.delta_graphs import talk
from tests.support.graph_runs import CASES, Script, remembering, text
from tests.support.graphs import asker, nested
from tests.support.kept_rows import KeptRows
from tests.support.remaining import (
    WAYS,
    Known,
    Reading,
    Twinned,
    World,
    assert_untouched,
    in_thread,
    read_all,
    ref_of,
    resumable,
    resumed,
    without,
)
from tests.support.rows import Rows

every_case = pytest.mark.parametrize("case", CASES)
# Much like others: the random histories have them too.
ONLY_RANDOM = ("older than the second run", "older than all", "delete", "the last run")
# What goes is decided in Python: on a server these show that its statements take away the same.
ON_SERVER = ("keep_latest", "policy: the third run, and the last three")
LIVED = [(way, "sqlite") for way in WAYS if way not in ONLY_RANDOM] + [(way, "asyncpg") for way in ON_SERVER]
# A driver of each: what they are sent is the same.
on_both = pytest.mark.parametrize("lasting_url", ["sqlite", "asyncpg"], indirect=True)


class Made(NamedTuple):
    """A thread that was made, kept to be copied: each test prunes a thread of its own."""

    rows: KeptRows
    twin: Path
    readings: dict[CheckpointRef, Reading]


# Not a tuple: whenever a fixture's event loop ends, all that the fixture returned is formatted for an error that is dropped.
@dataclass(frozen=True, repr=False)
class Thread:
    """A copy of a thread that was made, and all that was read of it."""

    readings: dict[CheckpointRef, Reading]
    known: list[Known]
    world: World
    #: Its like, which nobody prunes.
    twin: SQLAlchemySaver
    clock: Days
    blobs: Path


@pytest.fixture(scope="module")
def threads() -> dict[tuple[str, str], Made]:
    """The threads that were made, by case and kind of database: to make one takes longer than to test one."""
    return {}


def _blobs_of(twin: Path) -> Path:
    return twin.with_suffix(".blobs")


async def make(case: str, url: str, folder: Path) -> Made:
    clock, twin, blobs = Days(), folder / "twin.sqlite", folder / "in use"
    async with (
        SQLAlchemySaver.from_conn_string(twin, clock=clock, blob_url=_blobs_of(twin)) as unpruned,
        Twinned.from_conn_string(url, clock=clock, blob_url=blobs) as saver,
    ):
        saver.twin = unpruned
        world = World(saver)
        graph = CASES[case].build(world).compile(checkpointer=saver)
        await CASES[case].script(Script(saver, clock, world, graph))
        clock.go_to(3)
        readings = await read_all(saver, "t", CASES[case].build(world).compile(checkpointer=saver))
    return Made(KeptRows.of(url, blobs, folder), twin, readings)


@pytest.fixture
async def thread(
    lasting_url: str, case: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, threads: dict[tuple[str, str], Made]
) -> AsyncIterator[Thread]:
    """A thread of its own in the database of a test."""
    key = (case, lasting_url.partition("://")[0] if "://" in lasting_url else "sqlite")
    if key in threads:
        threads[key].rows.put(lasting_url)
    else:
        threads[key] = await make(case, lasting_url, tmp_path_factory.mktemp("made"))
    made, clock = threads[key], Days()
    clock.go_to(3)
    known = [Known.of(reading.found) for reading in made.readings.values()]
    assert {each.run for each in known} == {0, 1, 2}
    copied = shutil.copyfile(made.twin, tmp_path / "twin.sqlite")
    # What the twins upload they may share: nothing is taken away.
    async with SQLAlchemySaver.from_conn_string(copied, clock=clock, blob_url=_blobs_of(made.twin)) as twin:
        yield Thread(made.readings, known, World(twin), twin, clock, made.rows.blobs)


async def assert_goes_on(thread: Thread, case: str, saver: SQLAlchemySaver, left: set[CheckpointRef], thread_id: str = "t") -> None:
    """From every checkpoint at which something is due a thread goes on as its twin does."""
    for ref, newest in resumable(thread.readings, left):
        thread.world.saver = saver
        graph = CASES[case].build(thread.world).compile(checkpointer=saver)
        ours = await resumed(graph, thread_id, ref, thread.world.runs, newest=newest)
        thread.world.saver = thread.twin
        graph = CASES[case].build(thread.world).compile(checkpointer=thread.twin)
        assert ours == await resumed(graph, "t", ref, thread.world.runs, newest=newest)


def reopened(thread: Thread, url: str) -> SQLAlchemySaver:
    """A saver with nothing in its caches: what it reads is there."""
    return SQLAlchemySaver.from_conn_string(url, clock=thread.clock, blob_url=thread.blobs)


async def assert_left(thread: Thread, case: str, saver: SQLAlchemySaver, left: set[CheckpointRef], thread_id: str = "t") -> None:
    """Exactly these are left, each reads as before, and nothing lies about."""
    assert Rows.of(saver).orphans() == {}
    graph = CASES[case].build(thread.world).compile(checkpointer=saver)
    before = thread.readings if thread_id == "t" else in_thread(thread.readings, "t", thread_id)
    assert_untouched(before, await read_all(saver, thread_id, graph), left)


async def collect(thread: Thread, saver: SQLAlchemySaver) -> None:
    """Let the collector take what nothing refers to: afterwards there are just the objects that are referred to."""
    for day in (4, 5, 6):
        thread.clock.go_to(day)
        await saver.acollect(grace=timedelta(0))
    rows = Rows.of(saver)
    assert rows.referred_objects() == {row["key"] for row in rows.tables["ckpt_object"]}
    report = await saver.averify(deep=True)
    assert report.ok
    assert report.unregistered_objects == []


@pytest.mark.parametrize(("way", "lasting_url"), LIVED, indirect=["lasting_url"])
@every_case
async def test_what_is_kept_is_unchanged(lasting_url: str, case: str, way: str, thread: Thread) -> None:
    left = WAYS[way].leaves(thread.known)
    assert left != set(thread.readings)
    async with reopened(thread, lasting_url) as saver:
        await WAYS[way].prune(saver, "t")
        await collect(thread, saver)
    async with reopened(thread, lasting_url) as saver:
        await assert_left(thread, case, saver, left)
        await assert_goes_on(thread, case, saver, left)


@on_both
@every_case
async def test_a_copy_reads_as_its_source_and_outlives_it(lasting_url: str, case: str, thread: Thread) -> None:
    everything, way = set(thread.readings), WAYS["older than the third run"]
    left = way.leaves(thread.known)
    async with reopened(thread, lasting_url) as saver:
        await saver.acopy_thread("t", "copy")
        await assert_left(thread, case, saver, everything, "copy")
        await saver.aprune(["copy"])
        await assert_left(thread, case, saver, everything)
        # A copy of what was pruned has what its checkpoints are read from.
        await way.prune(saver, "t")
        await saver.acopy_thread("t", "copy of the rest")
        await saver.adelete_thread("copy")
        await saver.adelete_thread("t")
        await collect(thread, saver)
    async with reopened(thread, lasting_url) as saver:
        await assert_left(thread, case, saver, left, "copy of the rest")
        await assert_goes_on(thread, case, saver, left, "copy of the rest")


@on_both
async def test_a_memory_that_a_young_state_continues_from_outlives_an_age(lasting_url: str) -> None:
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(lasting_url, clock=clock) as saver:
        graph = remembering().compile(checkpointer=saver)
        for day in (0, 5):
            clock.go_to(day)
            await graph.ainvoke({"last": f"day {day}"}, config("t", run_id=f"{day}.0"), interrupt_before=["memory"] if day else None)
            if not day:
                answers = {asked.id: "x" for asked in (await graph.aget_state(config("t"))).interrupts}
                await graph.ainvoke(Command(resume=answers), config("t", run_id=f"{day}.1"))
        before = await graph.aget_state(config("t"), subgraphs=True)
        await saver.aprune_older_than(timedelta(days=2))
        left = {ref_of(each.config) for each in await saver.alist({"configurable": {"thread_id": "t"}})}
        assert await graph.aget_state(config("t"), subgraphs=True) == without(before, set(), left)


@on_both
async def test_keep_latest_leaves_no_finished_subgraph(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        graph = nested(2, asker()).compile(checkpointer=saver)
        for _ in range(3):
            await graph.ainvoke({"log": ["again"]}, config("t"))
            answers = {asked.id: "x" for asked in (await graph.aget_state(config("t"))).interrupts}
            await graph.ainvoke(Command(resume=answers), config("t"))
            await saver.aprune(["t"])
            (found,) = await saver.alist({"configurable": {"thread_id": "t"}})
            assert (found.config["configurable"]["checkpoint_ns"], found.parent_config) == ("", None)


@on_both
async def test_a_copy_onto_a_pruned_copy_shows_what_the_source_has(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        graph = talk(1000).compile(checkpointer=saver)
        for turn in range(2):
            await graph.ainvoke({"said": [text(turn)]}, config("t"))
        readings = await read_all(saver, "t", graph)
        await saver.acopy_thread("t", "copy")
        await saver.aprune(["copy"])
        await saver.acopy_thread("t", "copy")
        assert_untouched(in_thread(readings, "t", "copy"), await read_all(saver, "copy", graph), set(readings))
