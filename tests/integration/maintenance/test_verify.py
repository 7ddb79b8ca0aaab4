"""What a verification finds, what it must not take for a fault, and that it stays right beside prunes and collectors."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.blobs.backends.wrappers import BackendWrapper
from ckptstore.db.connection import Db
from ckptstore.errors import BlobUnavailable
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance import verify as verification
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.verify import verify
from ckptstore.runtime.wakeups import settled
from tests.support.blob_backends import listed
from tests.support.build import checkpoint, config, metadata, put
from tests.support.clocks import Clock
from tests.support.databases import url_of

T = TypeVar("T")

NO_GRACE = timedelta(0)
LARGE = os.urandom(100_000)
# Long enough to be cut into lists of segments.
MESSAGES = [f"{number} " * 50 for number in range(1_000)]


@pytest.fixture(params=["sqlite", "asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


def saver_on(url: str, tmp_path: Path, **more: Any) -> SQLAlchemySaver:
    return SQLAlchemySaver.from_conn_string(url, blob_url=tmp_path / "blobs", **{"clock": Clock(), **more})


def run(saver: SQLAlchemySaver, statement: str) -> list[tuple[Any, ...]]:
    def work(db: Db) -> list[tuple[Any, ...]]:
        result = db.connection.exec_driver_sql(statement)
        return [tuple(row) for row in result] if result.returns_rows else []

    return saver.store.runner.write(work).result()


def digests(saver: SQLAlchemySaver, where: str = "1 = 1") -> list[tuple[str, str]]:
    return sorted((row[0], row[1]) for row in run(saver, f"SELECT thread_id, digest FROM ckpt_segment WHERE {where}"))


async def cut_by_hand(saver: SQLAlchemySaver, layout: list[Any]) -> None:
    """A value of thread `t` with this layout."""
    await put(saver, config("t"), {"value": ["small"]})
    run(saver, f"UPDATE ckpt_channel SET checksum = NULL, layout = '{json.dumps(layout)}' WHERE thread_id = 't'")


class Interposed(BackendWrapper):
    """Runs something before the first operation of one name."""

    def __init__(self, inner: BlobBackend, operation: str, work: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(inner)
        self._operation = operation
        self._work: Callable[[], Awaitable[Any]] | None = work

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        work = self._work
        if operation == self._operation and work is not None:
            self._work = None
            await work()
        return await call()


@pytest.mark.parametrize("deep", [False, True])
async def test_what_was_stored_is_all_there(url: str, tmp_path: Path, deep: bool) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(LARGE)
        where = await put(saver, config("t"), {"messages": MESSAGES, "file": os.urandom(80_000), "ref": ref, "small": 1})
        await saver.aput_writes(where, [("messages", MESSAGES[::-1])], "task")
        await saver.acopy_thread("t", "u")
        report = await saver.averify(deep=deep)
        assert report.ok, report
        assert report.segments == len(digests(saver))
        assert any(encoding == "list" for (encoding,) in run(saver, "SELECT encoding FROM ckpt_segment"))


@pytest.mark.parametrize("deep", [False, True])
async def test_every_segment_that_was_lost_is_reported(url: str, tmp_path: Path, deep: bool) -> None:
    async with saver_on(url, tmp_path) as saver:
        where = await put(saver, config("t"), {"messages": MESSAGES, "file": LARGE})
        await put(saver, config("u"), {"messages": MESSAGES})
        await saver.aput_writes(where, [("other", [f"{number}!" * 60 for number in range(100)])], "task")
        named = {place for place in digests(saver) if place[0] == "t"}
        in_lists = {
            ("t", name) for row in run(saver, "SELECT data FROM ckpt_segment WHERE encoding = 'list'") for name in json.loads(row[0])
        }
        assert in_lists
        run(saver, "DELETE FROM ckpt_segment WHERE thread_id = 't'")
        report = await saver.averify(deep=deep)
        assert not report.ok
        # What only a lost list named can't be known any more.
        assert set(report.missing_segments) >= named - in_lists
        assert set(report.missing_segments) <= named


async def test_what_only_a_list_names_is_reported(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"messages": MESSAGES})
        listing = json.loads(run(saver, "SELECT data FROM ckpt_segment WHERE encoding = 'list'")[0][0])
        run(saver, f"DELETE FROM ckpt_segment WHERE digest = '{listing[1]}'")
        report = await saver.averify()
        assert (report.ok, report.missing_segments) == (False, [("t", listing[1])])


async def test_the_segment_of_another_thread_is_no_help(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        for thread in ("t", "u"):
            await put(saver, config(thread), {"messages": MESSAGES[:20]})
        victim = digests(saver, "thread_id = 't'")[0]
        run(saver, f"DELETE FROM ckpt_segment WHERE thread_id = 't' AND digest = '{victim[1]}'")
        assert (await saver.averify()).missing_segments == [victim]


async def test_numbers_and_references_are_no_segments(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await cut_by_hand(saver, [-(10**15), 5, None, "@" + "r" * 27])
        assert (await saver.averify(deep=True)).ok
        await cut_by_hand(saver, [5, "d" * 27, "+" + "l" * 27, "d" * 27, None, "@" + "r" * 27])
        assert (await saver.averify()).missing_segments == [("t", "+" + "l" * 27), ("t", "d" * 27)]


async def test_text_that_looks_like_a_handle_is_no_fault(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"text": f"see ckptblob:{'a' * 64}"})
        assert any("@" in json.dumps(row[0]) for row in run(saver, "SELECT layout FROM ckpt_channel WHERE layout IS NOT NULL"))
        assert (await saver.averify(deep=True)).ok


async def test_threads_are_all_looked_at(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_THREADS_PER_PAGE", 2)
    monkeypatch.setattr(verification, "_ROWS_PER_PAGE", 3)
    counts: list[int] = []
    async with saver_on(url, tmp_path) as saver:
        for number in range(5):
            await put(saver, config(f"t{number}"), {"messages": MESSAGES[:20], "file": os.urandom(70_000)})
        # A thread that lost its own row, after all the others.
        run(saver, "DELETE FROM ckpt_thread WHERE thread_id = 't4'")
        lost = digests(saver, "object_key IS NULL")
        segments = len(digests(saver))
        assert (await saver.averify()).segments == segments
        objects = saver.store.objects
        report = await settled(objects.run(verify(objects, LANGGRAPH, deep=False, progress=counts.append)))
        assert report.wrong_counts == ["t4"]
        assert sum(counts) == 4 + segments + 5
        run(saver, "DELETE FROM ckpt_segment WHERE object_key IS NULL")
        assert (await saver.averify()).missing_segments == lost


async def test_a_list_that_was_altered_is_reported_and_stops_nothing(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"messages": MESSAGES})
        lists = digests(saver, "encoding = 'list'")
        run(saver, f"UPDATE ckpt_segment SET data = {_bytes(url, b'[not json')} WHERE digest = '{lists[0][1]}'")
        report = await saver.averify()
        assert report.corrupt == [lists[0][1]]
        assert not report.ok


async def test_a_segment_without_bytes_is_reported(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"messages": MESSAGES[:20]})
        victim = digests(saver, "object_key IS NULL")[0]
        run(saver, f"UPDATE ckpt_segment SET data = NULL WHERE digest = '{victim[1]}'")
        assert (await saver.averify()).corrupt == [victim[1]]


def _bytes(url: str, data: bytes) -> str:
    return f"X'{data.hex()}'" if "postgresql" not in url else f"'\\x{data.hex()}'::bytea"


# --- objects


@pytest.mark.parametrize("state", ["pending", "deleting", None])
async def test_an_object_that_no_live_row_confirms_holds_no_segment(url: str, tmp_path: Path, state: str | None) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"file": LARGE})
        run(saver, "DELETE FROM ckpt_object" if state is None else f"UPDATE ckpt_object SET state = '{state}'")
        report = await saver.averify()
        assert (report.ok, report.broken_references) == (False, digests(saver, "object_key IS NOT NULL"))


async def test_without_a_backend_what_is_in_objects_is_not_there(postgres_url: str, tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(postgres_url, blob_url=tmp_path / "blobs") as saver:
        await put(saver, config("without-backend"), {"file": LARGE})
    async with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        report = await saver.averify()
        assert not report.ok
        assert set(report.broken_references) >= set(digests(saver, "thread_id = 'without-backend' AND object_key IS NOT NULL"))
        await saver.adelete_thread("without-backend")


@pytest.mark.parametrize(("operation", "deep"), [("size", False), ("get_file", True)])
async def test_what_a_collector_takes_meanwhile_is_not_missing(url: str, tmp_path: Path, operation: str, deep: bool) -> None:
    clock = Clock()
    async with saver_on(url, tmp_path, clock=clock) as saver, saver_on(url, tmp_path, clock=clock) as other:
        await saver.blobs.put(LARGE)
        await other.acollect(grace=NO_GRACE)

        async def collect() -> None:
            assert (await asyncio.to_thread(other.collect, grace=NO_GRACE)).deleted == 1

        _interpose(saver, operation, collect)
        report = await saver.averify(deep=deep)
        assert report.ok, report
        assert report.objects == 1


async def test_an_object_on_its_way_out_is_not_missing(url: str, tmp_path: Path) -> None:
    """The row says `deleting`, the object has gone: a collector died, or is at work."""
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(LARGE)

        async def half_collect() -> None:
            await asyncio.to_thread(run, saver, "UPDATE ckpt_object SET state = 'deleting'")
            next(path for path in (tmp_path / "blobs").rglob(f"{ref.digest}*")).unlink()

        _interpose(saver, "size", half_collect)
        assert (await saver.averify()).ok


async def test_an_upload_that_never_ended_is_no_fault_when_it_is_marked(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        ref = await saver.blobs.put(LARGE)
        next(path for path in (tmp_path / "blobs").rglob(f"{ref.digest}*")).unlink()
        assert not (await saver.averify()).ok
        run(saver, "UPDATE ckpt_object SET state = 'marked'")
        assert (await saver.averify()).ok


async def test_a_marked_object_that_something_refers_to_must_be_there(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver:
        await put(saver, config("t"), {"file": LARGE})
        run(saver, "UPDATE ckpt_object SET state = 'marked'")
        assert (await saver.averify(deep=True)).ok
        for path in (tmp_path / "blobs").rglob("*"):
            if path.is_file():
                path.unlink()
        assert len((await saver.averify()).missing_objects) == 1


async def test_beside_writers_and_prunes_nothing_is_reported(url: str, tmp_path: Path) -> None:
    async with saver_on(url, tmp_path) as saver, saver_on(url, tmp_path) as other:
        await put(saver, config("t"), {"messages": MESSAGES})
        stop = asyncio.Event()

        async def churn() -> int:
            rounds = 0
            while not stop.is_set():
                rounds += 1
                made = checkpoint({"messages": [*MESSAGES, str(rounds)] * 3, "file": os.urandom(70_000)})
                await other.aput(config("t"), made, metadata(), made["channel_versions"])
                await other.adelete_thread("t")
            return rounds

        churning = asyncio.ensure_future(churn())
        reports: list[VerifyReport] = []
        for _ in range(15):
            report = await saver.averify(deep=True)
            reports.append(report)
        stop.set()
        assert await churning > 0
        assert [(report.missing_segments, report.broken_references, report.missing_objects, report.corrupt) for report in reports] == [
            ([], [], [], [])
        ] * 15


def _interpose(saver: SQLAlchemySaver, operation: str, work: Callable[[], Awaitable[Any]]) -> None:
    objects: Any = saver.store.objects
    objects._backend = Interposed(objects.backend, operation, work)


class Unreadable(BackendWrapper):
    """A disk with a bad sector in one object."""

    def __init__(self, inner: BlobBackend, key: str) -> None:
        super().__init__(inner)
        self._key = key

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        if operation == "get_file" and key == self._key:
            raise BlobUnavailable(f"object {key}: Input/output error")
        return await call()


async def test_an_object_that_cannot_be_read_is_listed_and_the_others_are_checked(tmp_path: Path) -> None:
    async with saver_on(str(tmp_path / "checkpoints.sqlite"), tmp_path) as saver:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": os.urandom(70_000)})
        objects = saver.store.objects
        first, second, _ = [entry.key for entry in objects.run(listed(objects.backend)).result()]
        (tmp_path / "blobs" / second).write_bytes(b"x" * 70_000)
        saver.store.objects._backend = Unreadable(saver.store.objects.backend, first)
        report = await saver.averify(deep=True)
    assert report.unreadable_objects == [first]
    assert report.corrupt == [second]
    assert report.objects == 3
    assert not report.ok
