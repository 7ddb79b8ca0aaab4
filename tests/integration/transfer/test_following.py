"""Savers that continue on the new database when they meet the seal."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ckptstore import DatabaseSettings, RetentionPolicy, SQLAlchemySaver
from ckptstore.errors import InvalidUrl, StoreMoved
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.runtime.steps import drive, drive_async
from ckptstore.transfer.moving import Move, unseal
from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.seal import seal_store
from tests.support.build import checkpoint, config, metadata
from tests.support.places import DIRECTIONS, Places, put, seal, two_places
from tests.support.transfers import contents, rows_of, schema, threads_of


@pytest.fixture(params=DIRECTIONS)
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    with two_places(request, tmp_path) as places:
        yield places


async def agent(saver: SQLAlchemySaver, name: str, until: asyncio.Event, stored: list[tuple[str, str]]) -> None:
    """Write until told to end; each step builds on the one before."""
    where, step = config(name), 0
    while not until.is_set():
        step += 1
        version = f"{step:08}.x"
        made = checkpoint({"n": step, "text": f"{name} {step} " * 20}, {"n": version, "text": version})
        where = await saver.aput(where, made, metadata(step), made["channel_versions"])
        await saver.aput_writes(where, [("n", step)], f"task {step}")
        stored.append((name, made["id"]))


async def enough(stored: list[Any], number: int) -> None:
    while len(stored) < number:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def test_agents_go_on_through_a_move_and_notice_nothing(places: Places) -> None:
    savers = [places.follower() for _ in range(3)]
    stored: list[tuple[str, str]] = []
    end = asyncio.Event()
    agents = [asyncio.ensure_future(agent(savers[number % 3], f"agent {number}", end, stored)) for number in range(9)]
    await enough(stored, 30)
    report = await drive_async(places.move().run())
    await enough(stored, len(stored) + 30)
    end.set()
    await asyncio.gather(*agents)
    assert report.done
    with places.open(places.other) as there:
        found = await asyncio.to_thread(contents, there)
        kept = {(dict(key)["thread_id"], dict(key)["checkpoint_id"]) for key in found}
        assert set(stored) <= kept
        assert (await there.averify(deep=True)).ok
        for name in {name for name, _ in stored}:
            # One line: every checkpoint but the first has its parent, and there is no fork.
            chain = [each async for each in there.alist(config(name))]
            steps = [each.metadata["step"] for each in chain]
            assert steps == list(range(len(steps), 0, -1))
            assert [len(each.pending_writes or ()) for each in chain[1:]] == [1] * (len(chain) - 1)


def test_every_operation_goes_on_there(places: Places) -> None:
    names = ("put", "writes", "delete", "prune", "by policy", "copy", "part", "file", "stream", "runs", "erase", "read", "list")
    savers = {name: places.follower() for name in names}
    with places.open() as saver:
        for name in ("gone", "also", "erased"):
            put(saver, name)
        where = saver.put(config("also"), checkpoint({}), metadata(2, run_id="run"), {})
        saver.put(config("erased"), checkpoint({}), metadata(2, user="ann"), {})
        ref = saver.blobs.put(b"before").result()
        for each in savers.values():
            # They were in use before.
            assert each.get_tuple(where) is not None
    drive(places.move().run())
    with places.open(places.other) as there, places.open() as here:
        left = rows_of(here)
        savers["put"].put(where, checkpoint({}, {}, id="ffff"), metadata(3), {})
        savers["writes"].put_writes(config("also", "ffff"), [("n", 1)], "task")
        savers["delete"].delete_thread("gone")
        savers["prune"].prune(["t0"])
        savers["by policy"].prune_by(RetentionPolicy(max_age=timedelta(days=1)))
        savers["copy"].copy_thread("t1", "copy")
        savers["part"].copy_thread("t1", "part", newest=1)
        new = savers["file"].blobs.put(b"y" * 100_000).result()
        streamed = savers["stream"].blobs.put(io.BytesIO(b"z" * 100_000)).result()
        savers["runs"].delete_for_runs(["run"])
        assert savers["erase"].erase({"user": "ann"}).threads == ["erased"]
        assert threads_of(savers["read"]) == threads_of(there) == ["also", "copy", "part", "t0", "t1", "t2"]
        assert len(contents(savers["list"], "also")) == 2
        assert rows_of(here) == left
        assert {len(each.blobs.get(found).result()) for found in (new, streamed) for each in (there, savers["read"])} == {100_000}
        assert savers["read"].blobs.get(ref).result() == b"before"
        newest = there.get_tuple(config("also"))
        assert newest is not None
        assert newest.pending_writes == [("task", "n", 1)]


def test_a_saver_that_is_opened_afterwards_reads_there_first(places: Places, caplog: pytest.LogCaptureFixture) -> None:
    drive(places.move().run())
    with places.open(places.other) as there:
        put(there, "new")
    caplog.set_level(logging.INFO, "ckptstore.transfer.following")
    saver = places.follower()
    assert threads_of(saver) == ["new", "t0", "t1", "t2"]
    newest = saver.get_tuple(config("new"))
    assert newest is not None
    put(saver, "new", 2)
    assert [vars(record)["event"] for record in caplog.records] == ["store_followed"]


def test_a_move_that_does_not_end(places: Places) -> None:
    saver = places.follower(settings=DatabaseSettings(retry_seconds=0.1))
    seal(places)
    with pytest.raises(StoreMoved, match=r"has not ended within 0.1 s; run ckptstore move again") as found:
        put(saver, "new")
    assert found.value.to == places.move().report.to
    assert saver.get_tuple(config("t0")) is not None


def test_another_place_than_that_of_the_seal(places: Places, tmp_path: Path) -> None:
    drive(places.move().run())
    for other in ("postgresql://user:secret@elsewhere/db", str(tmp_path / "elsewhere.sqlite")):
        saver = places.follower(moved_to=other)
        uses = (partial(put, saver, "new"), partial(saver.get_tuple, config("t0")), partial(saver.delete_thread, "t0"))
        for use in uses:
            with pytest.raises(StoreMoved, match=r"moved_to names another database, .*elsewhere") as found:
                use()
            assert "secret" not in str(found.value)
    for url in ("mysql://host/db", 3):
        with pytest.raises((InvalidUrl, TypeError)):
            places.follower(moved_to=url)


def test_a_second_seal_is_an_error(places: Places) -> None:
    saver = places.follower()
    drive(places.move().run())
    put(saver, "there")
    # Back again: it does not follow in a circle.
    back = Move(places.open(places.other).store, places.open().store, None, "digests", LANGGRAPH, saver._now, TransferCallbacks())
    there = places.open(places.other).store
    there.runner.write(partial(seal_store, seal=back._seal()._replace(done=True))).result()
    try:
        for _ in range(2):
            with pytest.raises(StoreMoved) as found:
                put(saver, "again")
            assert found.value.to == back.report.to
            with pytest.raises(StoreMoved):
                saver.delete_thread("there")
    finally:
        drive(unseal(there))
    put(saver, "again")


def test_a_schema_is_the_one_of_the_move(tmp_path: Path, postgres_url: str) -> None:
    with schema(postgres_url, "new place"):
        places = Places(str(tmp_path / "one.sqlite"), postgres_url, tmp_path)
        saver = places.follower()
        put(saver, "before")
        with places.open(postgres_url, schema="new place", blob_url=None) as there:
            assert drive(Move(saver.store, there.store, None, "digests", LANGGRAPH, saver._now, TransferCallbacks()).run()).done
            put(saver, "after")
            assert threads_of(there) == ["after", "before"]
        saver.close()


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    places = Places(str(tmp_path / "one.sqlite"), str(tmp_path / "other.sqlite"), tmp_path)
    saver = places.follower()
    put(saver, "before")
    assert drive(places.move().run()).done
    places.opened[-1].close()
    Path(places.other).unlink()
    with pytest.raises(StoreMoved, match="there is no file"):
        put(saver, "after")
    for each in places.opened:
        each.close()
