"""Writers and collectors at every step of each other, and killed at every step: no reference without its object."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.backends.object_keys import temporary_name
from ckptstore.errors import BlobUnavailable
from ckptstore.testing import FailingBackend
from tests.support.build import checkpoint, config, metadata, put
from tests.support.collector import CONTENT, NO_GRACE, Killed, SharedStore, check, collect_pass, leave_marked, stepped, store
from tests.support.databases import url_of


async def test_what_nothing_refers_to_is_deleted_in_two_passes(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await store(saver, "t")
        assert (await saver.acollect(grace=NO_GRACE)).marked == 0
        await saver.adelete_thread("t")
        first = await saver.acollect(grace=NO_GRACE)
        assert (first.marked, first.deleted) == (1, 0)
        assert len(shared.objects()) == 1
        second = await saver.acollect(grace=NO_GRACE)
        assert (second.marked, second.deleted, second.deleted_bytes) == (0, 1, len(CONTENT))
        assert shared.objects() == []
        third = await saver.acollect(grace=NO_GRACE)
        assert (third.marked, third.deleted) == (0, 0)


async def test_grace_counts_before_an_object_is_marked_and_again_after(shared: SharedStore) -> None:
    hour = timedelta(hours=1)
    async with shared.saver() as saver:
        await store(saver, "t")
        await saver.adelete_thread("t")
        assert (await saver.acollect(grace=hour)).marked == 0
        shared.clock.now += hour
        assert (await saver.acollect(grace=hour)).marked == 1
        assert (await saver.acollect(grace=hour)).deleted == 0
        shared.clock.now += hour
        assert (await saver.acollect(grace=hour)).deleted == 1


async def test_a_dry_run_counts_and_changes_nothing(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await store(saver, "t")
        await saver.adelete_thread("t")
        for _ in range(2):
            assert (await saver.acollect(dry_run=True, grace=NO_GRACE)).marked == 1
        await saver.acollect(grace=NO_GRACE)
        for _ in range(2):
            report = await saver.acollect(dry_run=True, grace=NO_GRACE)
            assert (report.deleted, report.deleted_bytes, report.dry_run) == (1, len(CONTENT), True)
        assert len(shared.objects()) == 1


async def test_a_marked_object_that_is_stored_again_is_unmarked(shared: SharedStore) -> None:
    async with shared.saver() as saver, shared.saver() as other:
        await store(saver, "t")
        await saver.adelete_thread("t")
        assert (await saver.acollect(grace=NO_GRACE)).marked == 1
        await store(other, "u")
        assert len(shared.objects()) == 1
    await check(shared, {"u"})


async def test_a_commit_that_dies_after_the_upload_leaves_nothing_that_stays(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await put(saver, config("before"), {"small": 1})
        writer = saver.store._queue._committer
        commit, begin = writer._commit_batch, writer._begin_batch

        def dying(*_: Any) -> Any:
            raise Killed

        writer._commit_batch, writer._begin_batch = dying, None
        with pytest.raises(Killed):
            await store(saver, "t")
        writer._commit_batch, writer._begin_batch = commit, begin
        assert len(shared.objects()) == 1
    await check(shared, set())


async def test_an_object_that_cannot_be_deleted_is_reported_and_tried_again(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await leave_marked(saver)
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("delete", BlobUnavailable("access denied", transient=False))
        report = await saver.acollect(grace=NO_GRACE)
        assert (report.deleted, len(report.failed)) == (0, 1)
        assert (await saver.acollect(grace=NO_GRACE)).deleted == 1
    await check(shared, set())


async def test_a_cancelled_caller_frees_its_thread_at_once_and_its_upload_is_not_stored(shared: SharedStore) -> None:
    async with shared.saver() as saver:
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
            await put(saver, config("t"), {"file": b"small", "note": "later"})
            go_on.set()
        assert len(await saver.alist(config("t"))) == 1


async def test_a_write_that_has_to_be_uploaded_anew_is_stored_before_later_ones(shared: SharedStore) -> None:
    async with shared.saver() as writer, shared.saver() as collector:
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


async def test_a_handle_put_again_after_its_object_was_lost_reads_again(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        ref = await saver.blobs.put(CONTENT)
        await put(saver, config("t"), {"document": ref})
        (shared.folder / shared.objects()[0]).unlink()
    async with shared.saver() as saver:
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


async def test_a_handle_in_a_channel_without_a_version_keeps_its_blob(shared: SharedStore) -> None:
    async with shared.saver() as saver:
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


async def test_a_pass_deletes_what_killed_uploads_have_left(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await store(saver, "t")
        (key,) = shared.objects()
        left = (shared.folder / key).with_name(temporary_name("abcdef-02"))
        left.write_bytes(b"half")
        assert (await saver.acollect()).unfinished == 0
        os.utime(left, (0, 0))
        assert (await saver.acollect(dry_run=True)).unfinished == 1
        assert left.exists()
        assert (await saver.acollect()).unfinished == 1
        assert not left.exists()
        assert shared.objects() == [key]
