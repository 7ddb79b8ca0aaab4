"""Backups while others write and the collector runs, and what a restore makes of them on either database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidConfig
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.maintenance.hold import is_held
from ckptstore.runtime.steps import drive, drive_async
from ckptstore.transfer import backup as backup_module
from ckptstore.transfer.backup import BackupReport, Format, back_up
from ckptstore.transfer.backup_location import BackupLocation
from tests.support.backups import restore, take
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import empty_tables
from tests.support.pg_programs import FITTING, OLDER
from tests.support.transfers import contents, fill, rows_of, sqlite_file, threads_of


@pytest.fixture
def saver(lasting_url: str, tmp_path: Path) -> Any:
    with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        fill(saver)
        yield saver


def test_a_restored_store_is_equal_to_the_byte(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    handle = saver.blobs.put(b"not referred to yet").result()
    report = take(saver, tmp_path / "backups")
    assert (report.threads, report.checkpoints, report.objects, report.failed) == (3, 15, 4, [])
    target = str(tmp_path / "restored.sqlite")
    done = restore(tmp_path / "backups", target)
    assert done.exit_code == 0, done.output
    assert "nothing is missing or corrupt" in done.output
    with SQLAlchemySaver.from_conn_string(target) as restored:
        assert rows_of(restored) == rows_of(saver)
        assert contents(restored) == contents(saver)
        assert restored.blobs.get(handle).result() == b"not referred to yet"


def test_on_the_other_database(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> None:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "a.sqlite")) as saver:
        fill(saver)
        take(saver, tmp_path / "backups")
        # Its blobs go into the database itself.
        assert restore(tmp_path / "backups", postgres_url).exit_code == 0
        with SQLAlchemySaver.from_conn_string(postgres_url) as restored:
            assert contents(restored) == contents(saver)


def test_blobs_are_stored_once_for_all_backups(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    first = take(saver, tmp_path / "backups")
    before = contents(saver)
    made = checkpoint({"file": bytes(range(256)) * 1_000}, {"file": "1"})
    saver.put(config("new"), made, metadata(0), {"file": "1"})
    second = take(saver, tmp_path / "backups")
    assert (first.copied, second.copied, second.objects) == (3, 1, 4)
    for name, threads in ((first.name, 3), (second.name, 4)):
        target = str(tmp_path / f"{name}.sqlite")
        assert restore(tmp_path / "backups", target, "--name", name).exit_code == 0
        with SQLAlchemySaver.from_conn_string(target) as restored:
            assert len(threads_of(restored)) == threads
            assert before.items() <= {**before, **contents(restored)}.items()


async def back_up_under_load(url: str, folder: Path, held_off: threading.Event) -> tuple[BackupReport, list[bool]]:
    """A backup while an agent writes and prunes and the collector runs without grace, and whether each of its passes was held off."""
    async with SQLAlchemySaver.from_conn_string(url, blob_url=folder / "blobs") as saver:
        await asyncio.to_thread(fill, saver)
        written, collected, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
        held: list[bool] = []

        async def write() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                made = checkpoint({"file": number.to_bytes(4) * 20_000}, {"file": f"{number:08}"})
                await saver.aput(config("t0"), made, metadata(number), made["channel_versions"])
                await saver.aprune(["t0"], strategy="keep_latest")
                written.set()

        async def collect() -> None:
            while not ended.is_set():
                held.append((await saver.acollect(grace=timedelta(0))).held)
                collected.set()
                if held[-1]:
                    held_off.set()

        others = [asyncio.ensure_future(write()), asyncio.ensure_future(collect())]
        await written.wait()
        await collected.wait()
        report = await drive_async(back_up(saver.store, str(folder / "backups"), LANGGRAPH, saver._now))
        ended.set()
        await asyncio.gather(*others)
        held.append((await saver.acollect()).held)
        return report, held


def test_while_agents_write_and_the_collector_runs(lasting_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_off = threading.Event()
    store_keys = BackupLocation.store_keys

    async def store_keys_after_a_pass(location: BackupLocation, name: str, keys: Iterable[str]) -> None:
        await asyncio.to_thread(held_off.wait, 60)
        await store_keys(location, name, keys)

    monkeypatch.setattr(BackupLocation, "store_keys", store_keys_after_a_pass)
    report, held = asyncio.run(back_up_under_load(lasting_url, tmp_path, held_off))
    assert report.failed == []
    assert True in held
    assert held[-1] is False
    done = restore(tmp_path / "backups", str(tmp_path / "restored.sqlite"))
    assert done.exit_code == 0, done.output


def test_a_backup_that_fails_lets_the_collector_go_on(saver: SQLAlchemySaver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_arguments: object) -> None:
        assert saver.store.runner.read(lambda db: is_held(db, saver._now())).result()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(backup_module, "contents_of_file", no_room)
        with pytest.raises(OSError, match="No space left"):
            take(saver, tmp_path / "backups")
    assert not saver.collect().held
    # No description, no backup.
    assert "no backup" in restore(tmp_path / "backups", str(tmp_path / "r.sqlite")).output


def test_a_missing_blob_is_named(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    (path, *_) = [each for each in (tmp_path / "blobs").rglob("*") if each.is_file()]
    path.unlink()
    report = take(saver, tmp_path / "backups")
    assert len(report.failed) == 1


@pytest.fixture
def on_postgres(postgres_url: str, tmp_path: Path) -> Any:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(postgres_url, blob_url=tmp_path / "blobs") as saver:
        fill(saver)
        yield saver


@pytest.mark.parametrize("target", ["sqlite", "asyncpg"])
def test_a_dump_is_restored_to_either_database(
    request: pytest.FixtureRequest, on_postgres: SQLAlchemySaver, postgres_url: str, tmp_path: Path, target: str
) -> None:
    saver = on_postgres
    handle = saver.blobs.put(b"not referred to yet").result()
    report = take(saver, tmp_path / "backups", "pg_dump", FITTING)
    assert (report.format, report.threads, report.checkpoints, report.objects, report.failed) == ("pg_dump", 3, 15, 4, [])
    assert report.database.endswith(".dump")
    rows, before = rows_of(saver), contents(saver)
    options = ["--to-blob-url", str(tmp_path / "restored-blobs"), "--pg-bin", FITTING]
    url = str(tmp_path / "restored.sqlite")
    if target == "asyncpg":
        empty_tables(postgres_url)
        url = postgres_url
    done = restore(tmp_path / "backups", url, *options)
    assert done.exit_code == 0, done.output
    assert "nothing is missing or corrupt" in done.output
    with SQLAlchemySaver.from_conn_string(url, blob_url=tmp_path / "restored-blobs") as restored:
        assert rows_of(restored) == rows
        assert contents(restored) == before
        assert restored.blobs.get(handle).result() == b"not referred to yet"
    without = restore(tmp_path / "backups", str(tmp_path / "other.sqlite"), "--pg-bin", str(tmp_path))
    assert without.exit_code == 1
    assert "is a dump of pg_dump, and pg_restore is not in" in without.output


def test_a_marked_object_that_a_row_refers_to_is_in_a_dump(on_postgres: SQLAlchemySaver, tmp_path: Path) -> None:
    on_postgres.store.runner.write(lambda db: db.execute("UPDATE ckpt_object SET state = 'marked'")).result()
    on_postgres.store.runner.write(lambda db: db.execute("DELETE FROM ckpt_segment WHERE thread_id = 't0'")).result()
    assert take(on_postgres, tmp_path / "dumps", "pg_dump", FITTING).objects == take(on_postgres, tmp_path / "files").objects == 2


def test_a_dump_under_load_is_one_snapshot(on_postgres: SQLAlchemySaver, tmp_path: Path) -> None:
    # Every thread has as many checkpoints as the first at any moment between two rounds, or one more.
    ended = threading.Event()

    def write() -> None:
        for step in range(10_000):
            for name in ("a", "b"):
                on_postgres.put(config(name), checkpoint({"n": step}), metadata(step), {})
            if ended.is_set():
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            take(on_postgres, tmp_path / "backups", "pg_dump", FITTING)
    finally:
        ended.set()
        writer.join()
    target = str(tmp_path / "restored.sqlite")
    assert restore(tmp_path / "backups", target, "--pg-bin", FITTING).exit_code == 0
    with SQLAlchemySaver.from_conn_string(target) as restored:
        counts = {thread.thread_id: thread.checkpoints for thread in restored.list_threads()}
        assert counts["a"] - counts["b"] in (0, 1)


def test_which_format_it_is(on_postgres: SQLAlchemySaver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(wanted: Format | None, folder: str | None, saver: SQLAlchemySaver = on_postgres) -> tuple[str, str]:
        report = drive(back_up(saver.store, str(tmp_path / "to"), LANGGRAPH, saver._now, wanted=wanted, pg_folder=folder))
        return report.format, report.remark

    assert kind(None, FITTING) == ("pg_dump", "")
    assert kind("sqlite", FITTING) == ("sqlite", "")
    monkeypatch.setenv("PATH", OLDER)
    assert kind(None, None)[0] == "sqlite"
    assert "pg_dump is of release 16, and dumps no server of release 18" in kind(None, None)[1]
    for wanted, folder in (("pg_dump", None), (None, OLDER)):
        with pytest.raises(InvalidConfig, match="pg_dump is of release 16"):
            kind(wanted, folder)  # type: ignore[arg-type]
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite") as other:
        assert kind(None, FITTING, other) == ("sqlite", "")
        with pytest.raises(InvalidConfig, match="PostgreSQL only"):
            kind("pg_dump", FITTING, other)
