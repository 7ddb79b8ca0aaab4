"""Writers and collectors at every step of each other, and killed at every step: no reference without its object."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from ckptstore import SQLAlchemySaver
from ckptstore.errors import BlobUnavailable
from ckptstore.testing import FailingBackend
from ckptstore.values.decode import SegmentSet
from tests.support.build import checkpoint, config, metadata, put
from tests.support.clocks import Clock
from tests.support.databases import url_of

CONTENT = os.urandom(200_000)
NO_GRACE = timedelta(0)


class Killed(BaseException):
    """The process died here: nothing of it runs any more."""


class Place:
    """A database and a folder of blobs, which several processes use: each saver has caches and a queue of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.clock = Clock()

    @asynccontextmanager
    async def saver(self) -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(self.url, blob_url=self.folder, clock=self.clock) as saver:
            yield saver

    def objects(self) -> list[str]:
        """The keys of the objects that are there."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("*/*") if path.is_file())


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(url_of(request.param, request, tmp_path), tmp_path / "blobs")


class Steps:
    """The steps of one saver's objects: each write to the database and each change of the backend, one after the other."""

    def __init__(self) -> None:
        self.count = 0
        #: What happens before or after a step, by its number.
        self.before: dict[int, Callable[[], Awaitable[None]]] = {}
        self.after: dict[int, Callable[[], Awaitable[None]]] = {}

    async def around(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.count += 1
        number = self.count
        if number in self.before:
            await self.before.pop(number)()
        result = await call()
        if number in self.after:
            await self.after.pop(number)()
        return result


@contextmanager
def stepped(saver: SQLAlchemySaver) -> Iterator[Steps]:
    """Every step of a saver's uploads and collections goes through `Steps`: registrations, puts, verdicts, deletions."""
    objects, steps = saver.store.objects, Steps()
    backend = objects.backend
    originals = {(objects, "write"): objects.write, (backend, "put"): backend.put, (backend, "delete"): backend.delete}
    for (owner, name), original in originals.items():
        setattr(owner, name, lambda *args, original=original: steps.around(lambda: original(*args)))
    try:
        yield steps
    finally:
        for (owner, name), original in originals.items():
            setattr(owner, name, original)


async def store(saver: SQLAlchemySaver, thread_id: str) -> None:
    await put(saver, config(thread_id), {"file": CONTENT, "note": thread_id})


async def check(place: Place, threads: set[str]) -> None:
    """A fresh process reads each thread as it was stored, and all else has gone after some passes of the collector."""
    async with place.saver() as saver:
        report = await saver.averify(deep=True)
        assert report.ok, report
        for thread_id in threads:
            found = await saver.aget_tuple(config(thread_id))
            assert found is not None, thread_id
            assert found.checkpoint["channel_values"] == {"file": CONTENT, "note": thread_id}
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        report = await saver.averify(deep=True)
        assert report.ok
        assert report.unregistered_objects == []
        assert report.objects == len(place.objects()) == min(1, len(threads))


async def test_what_nothing_refers_to_goes_in_two_passes(place: Place) -> None:
    async with place.saver() as saver:
        await store(saver, "t")
        assert (await saver.acollect(grace=NO_GRACE)).marked == 0
        await saver.adelete_thread("t")
        first = await saver.acollect(grace=NO_GRACE)
        assert (first.marked, first.deleted) == (1, 0)
        assert len(place.objects()) == 1
        second = await saver.acollect(grace=NO_GRACE)
        assert (second.marked, second.deleted, second.deleted_bytes) == (0, 1, len(CONTENT))
        assert place.objects() == []
        third = await saver.acollect(grace=NO_GRACE)
        assert (third.marked, third.deleted) == (0, 0)


async def test_grace_counts_before_the_condemnation_and_after_it(place: Place) -> None:
    hour = timedelta(hours=1)
    async with place.saver() as saver:
        await store(saver, "t")
        await saver.adelete_thread("t")
        assert (await saver.acollect(grace=hour)).marked == 0
        place.clock.now += hour
        assert (await saver.acollect(grace=hour)).marked == 1
        assert (await saver.acollect(grace=hour)).deleted == 0
        place.clock.now += hour
        assert (await saver.acollect(grace=hour)).deleted == 1


async def test_a_dry_run_counts_and_changes_nothing(place: Place) -> None:
    async with place.saver() as saver:
        await store(saver, "t")
        await saver.adelete_thread("t")
        for _ in range(2):
            assert (await saver.acollect(dry_run=True, grace=NO_GRACE)).marked == 1
        await saver.acollect(grace=NO_GRACE)
        for _ in range(2):
            report = await saver.acollect(dry_run=True, grace=NO_GRACE)
            assert (report.deleted, report.deleted_bytes, report.dry_run) == (1, len(CONTENT), True)
        assert len(place.objects()) == 1


async def test_an_object_that_is_needed_again_comes_back_to_life(place: Place) -> None:
    async with place.saver() as saver, place.saver() as other:
        await store(saver, "t")
        await saver.adelete_thread("t")
        assert (await saver.acollect(grace=NO_GRACE)).marked == 1
        await store(other, "u")
        assert len(place.objects()) == 1
    await check(place, {"u"})


async def steps_of(
    place: Place, act: Callable[[SQLAlchemySaver], Awaitable[Any]], prepare: Callable[[SQLAlchemySaver], Awaitable[Any]]
) -> int:
    """How many steps an action has."""
    async with place.saver() as saver:
        await prepare(saver)
        with stepped(saver) as steps:
            await act(saver)
        await saver.adelete_thread("t")
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        return steps.count


async def store_t(saver: SQLAlchemySaver) -> None:
    await store(saver, "t")


async def nothing(_saver: SQLAlchemySaver) -> None:
    """Nothing to prepare."""


async def leave_marked(saver: SQLAlchemySaver) -> None:
    await store(saver, "gone")
    await saver.adelete_thread("gone")
    await saver.acollect(grace=NO_GRACE)


async def collect_pass(saver: SQLAlchemySaver) -> None:
    await saver.acollect(grace=NO_GRACE)


async def test_a_writer_that_dies_at_any_step_leaves_the_old_state_and_nothing_that_stays(place: Place) -> None:
    total = await steps_of(place, store_t, nothing)
    assert total == 2, "registered, uploaded"
    for number in range(1, total + 1):
        for when in ("before", "after"):
            async with place.saver() as saver:
                with stepped(saver) as steps:
                    getattr(steps, when)[number] = die
                    with pytest.raises(Killed):
                        await store(saver, "t")
            async with place.saver() as saver:
                assert await saver.aget_tuple(config("t")) is None
            await check(place, set())


async def test_a_collector_that_dies_at_any_step_is_carried_on_by_the_next(place: Place) -> None:
    total = await steps_of(place, collect_pass, leave_marked)
    assert total == 3, "judged, deleted, forgotten"
    for number in range(1, total + 1):
        for when in ("before", "after"):
            async with place.saver() as saver:
                await leave_marked(saver)
                with stepped(saver) as steps:
                    getattr(steps, when)[number] = die
                    with pytest.raises(Killed):
                        await collect_pass(saver)
            await check(place, set())


async def die() -> None:
    raise Killed


async def test_a_collector_at_every_step_of_a_writer(place: Place) -> None:
    total = await steps_of(place, store_t, nothing)
    for number in range(1, total + 1):
        for when in ("before", "after"):
            for passes in (1, 2, 3):
                async with place.saver() as writer, place.saver() as collector:

                    async def collect_now(collector: SQLAlchemySaver = collector, passes: int = passes) -> None:
                        for _ in range(passes):
                            await collect_pass(collector)

                    with stepped(writer) as steps:
                        getattr(steps, when)[number] = collect_now
                        await store(writer, "t")
                await check(place, {"t"})
                await empty(place)


async def test_a_writer_at_every_step_of_a_collector(place: Place) -> None:
    total = await steps_of(place, collect_pass, leave_marked)
    for knows_the_object in (True, False):
        for number in range(1, total + 1):
            for when in ("before", "after"):
                async with place.saver() as writer, place.saver() as collector:
                    await leave_marked(writer if knows_the_object else collector)
                    with stepped(collector) as steps:
                        getattr(steps, when)[number] = lambda writer=writer: store(writer, "t")
                        await collect_pass(collector)
                await check(place, {"t"})
                await empty(place)


async def empty(place: Place) -> None:
    async with place.saver() as saver:
        await saver.adelete_thread("t")
        for _ in range(3):
            await collect_pass(saver)
    assert place.objects() == []


async def test_a_writer_that_found_an_object_just_before_it_was_deleted_uploads_anew(place: Place) -> None:
    async with place.saver() as writer, place.saver() as collector:
        await leave_marked(collector)
        size = writer.store.objects.backend.size

        async def size_then_collect(key: str) -> int | None:
            found = await size(key)
            await collect_pass(collector)
            return found

        writer.store.objects.backend.size = size_then_collect  # type: ignore[method-assign]
        await store(writer, "t")
    await check(place, {"t"})


async def test_a_commit_that_dies_after_the_upload_leaves_nothing_that_stays(place: Place) -> None:
    async with place.saver() as saver:
        await put(saver, config("before"), {"small": 1})
        writer = saver.store._queue
        commit = writer._commit_batch

        def dying(*_: Any) -> Any:
            raise Killed

        writer._commit_batch = dying
        with pytest.raises(Killed):
            await store(saver, "t")
        writer._commit_batch = commit
        assert len(place.objects()) == 1
    await check(place, set())


async def test_a_backend_that_fails_fails_the_write_and_nothing_else(place: Place) -> None:
    async with place.saver() as saver:
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("put", BlobUnavailable("no space left", transient=False))
        failed, fine = await asyncio.gather(store(saver, "t"), put(saver, config("u"), {"small": 1}), return_exceptions=True)
        assert isinstance(failed, BlobUnavailable)
        assert not isinstance(fine, BaseException)
        await store(saver, "t")
    await check(place, {"t"})


async def test_an_upload_whose_answer_was_lost_is_collected(place: Place) -> None:
    async with place.saver() as saver:
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("put", BlobUnavailable("connection lost", transient=False), after=True)
        with pytest.raises(BlobUnavailable):
            await store(saver, "t")
        await store(saver, "t")
        assert len(place.objects()) == 2
    await check(place, {"t"})


async def test_an_object_that_cannot_be_deleted_is_reported_and_tried_again(place: Place) -> None:
    async with place.saver() as saver:
        await leave_marked(saver)
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("delete", BlobUnavailable("access denied", transient=False))
        report = await saver.acollect(grace=NO_GRACE)
        assert (report.deleted, len(report.failed)) == (0, 1)
        assert (await saver.acollect(grace=NO_GRACE)).deleted == 1
    await check(place, set())


async def test_a_cancelled_caller_stops_no_upload_and_frees_its_thread(place: Place) -> None:
    async with place.saver() as saver:
        reached, go_on = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        async def wait_here() -> None:
            loop.call_soon_threadsafe(reached.set)
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(go_on.wait(), loop))

        with stepped(saver) as steps:
            steps.before[2] = wait_here
            task = asyncio.create_task(store(saver, "t"))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            behind = asyncio.create_task(put(saver, config("t"), {"file": b"small", "note": "later"}))
            await put(saver, config("u"), {"small": 1})
            assert not behind.done(), "what comes after it in its thread waits"
            go_on.set()
            await behind
        assert len(await saver.alist(config("t"))) == 2


async def test_a_unit_that_has_to_be_uploaded_anew_keeps_its_place(place: Place) -> None:
    async with place.saver() as writer, place.saver() as collector:
        await leave_marked(writer)
        await collect_pass(collector)
        # What the writer knows of the object is out of date: the first put finds out when it commits.
        where = config("t", "00000000-0000-6000-8000-000000000001")
        first = put_as(writer, where, {"file": CONTENT, "n": 1})
        second = put_as(writer, where, {"n": 2})
        await asyncio.gather(first, second)
        found = await writer.aget_tuple(where)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"n": 2}


async def put_as(saver: SQLAlchemySaver, where: RunnableConfig, values: dict[str, Any]) -> None:
    """Put a checkpoint under a given id."""
    made = checkpoint(values)
    made["id"] = where["configurable"]["checkpoint_id"]
    await saver.aput(config("t"), made, metadata(), made["channel_versions"])


async def test_a_handle_put_again_after_its_object_was_lost_reads_again(place: Place) -> None:
    async with place.saver() as saver:
        ref = await saver.blobs.put(CONTENT)
        await put(saver, config("t"), {"document": ref})
        (place.folder / place.objects()[0]).unlink()
    async with place.saver() as saver:
        assert await saver.blobs.put(CONTENT) == ref
        await put(saver, config("t"), {"document": ref})
        for _ in range(3):
            await collect_pass(saver)
        assert await saver.blobs.get(ref) == CONTENT


@pytest.fixture
def server_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that keeps large values unless it is told of a backend."""
    return url_of("asyncpg", request, tmp_path)


async def test_a_saver_without_a_backend_stores_what_another_one_keeps_in_objects(tmp_path: Path, server_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(server_url, blob_url=tmp_path / "blobs") as saver:
        await put(saver, config("t"), {"file": CONTENT})
    async with SQLAlchemySaver.from_conn_string(server_url) as saver:
        where = await put(saver, config("t"), {"file": CONTENT})
        found = await saver.aget_tuple(where)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"file": CONTENT}


async def test_a_handle_in_a_channel_without_a_version_keeps_its_blob(place: Place) -> None:
    async with place.saver() as saver:
        ref = await saver.blobs.put(CONTENT)
        made = checkpoint({"document": ref, "file": CONTENT}, versions={})
        where = await saver.aput(config("t"), made, metadata(), {})
        for _ in range(3):
            await collect_pass(saver)
        assert await saver.blobs.get(ref) == CONTENT
        found = await saver.aget_tuple(where)
        assert found is not None
        assert found.checkpoint["channel_values"] == {"document": ref, "file": CONTENT}
        assert found.checkpoint["channel_versions"] == {}


async def test_a_listing_fetches_only_what_it_gives_out(place: Place) -> None:
    async with place.saver() as saver:
        for number in range(20):
            await put(saver, config(f"t{number}"), {"file": CONTENT + bytes([number])}, step=number)
    async with place.saver() as saver:
        counting = saver.store.objects._backend = FailingBackend(saver.store.objects.backend)
        assert len(await saver.alist(None, filter={"step": {"$gte": 18}})) == 2
        assert counting.calls.get("get") == 2
        assert await saver.alist(None, filter={"step": {"$gt": 99}}) == []
        assert counting.calls.get("get") == 2


async def test_what_is_pruned_and_collected_during_a_listing_is_left_out(place: Place) -> None:
    async with place.saver() as saver, place.saver() as other:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": os.urandom(20_000_000)})
        given = saver.alist(None)
        first = await anext(given)
        for number in range(3):
            await other.adelete_thread(f"t{number}")
        for _ in range(2):
            await collect_pass(other)
        rest = [found async for found in given]
        assert len(first.checkpoint["channel_values"]["file"]) == 20_000_000
        assert rest == []


async def test_a_listing_keeps_no_large_values_that_were_given_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    release_remote = SegmentSet.release_remote

    def measure(pieces: SegmentSet) -> None:
        release_remote(pieces)
        kept.append(sum(len(pieces.local.get(digest, b"")) for digest in pieces.remote))

    monkeypatch.setattr(SegmentSet, "release_remote", measure)
    async with place.saver() as saver:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": os.urandom(20_000_000)})
        assert [len(found.checkpoint["channel_values"]["file"]) async for found in saver.alist(None)] == [20_000_000] * 3
    assert kept == [0, 0, 0]
