"""A SQLite file that is deleted, replaced or truncated under an open saver: no put is acknowledged that is not in the file at its path."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseFileLost
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import url_of
from tests.support.faults import INSERTS_BATCH, reported_statements

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows deletes and replaces no open file")


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(url_of("sqlite", request, tmp_path))


@pytest.fixture
def saver(path: Path) -> Iterator[SQLAlchemySaver]:
    with SQLAlchemySaver.from_conn_string(path) as saver:
        yield saver


def put(saver: SQLAlchemySaver, thread_id: str) -> None:
    made = checkpoint({"n": thread_id})
    saver.put(config(thread_id), made, metadata(), made["channel_versions"])
    settle(saver)


def settle(saver: SQLAlchemySaver) -> None:
    """Wait for the copying of the log that a put started: it would write to the file after its loss."""
    running = saver.store.runner._wal._running  # type: ignore[attr-defined]
    if running is not None:
        running.result()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def threads_in(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {thread for (thread,) in connection.execute("SELECT thread_id FROM ckpt_thread")}


def delete(path: Path) -> None:
    path.unlink()


def delete_with_log(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()


def move_away(path: Path) -> None:
    path.rename(path.with_name("moved"))


def replace(path: Path) -> None:
    shutil.copyfile(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


def delete_log(path: Path) -> None:
    log_of(path).unlink()


def replace_log(path: Path) -> None:
    log_of(path).with_name("copy").write_bytes(log_of(path).read_bytes())
    log_of(path).with_name("copy").replace(log_of(path))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def shorten(path: Path) -> None:
    os.truncate(path, 3 * 4096)


LOSSES: dict[Callable[[Path], None], str] = {
    delete: "deleted or moved away",
    delete_with_log: "deleted or moved away",
    move_away: "deleted or moved away",
    replace: "replaced by another file",
    delete_log: "write-ahead log",
    replace_log: "write-ahead log",
    empty: "truncated to 0 bytes",
    shorten: "truncated to 12288 bytes",
}


@pytest.mark.parametrize("lose", LOSSES)
def test_no_put_is_acknowledged_after_the_file_was_lost(saver: SQLAlchemySaver, path: Path, lose: Callable[[Path], None]) -> None:
    put(saver, "before")
    lose(path)
    for _ in range(3):
        with pytest.raises(DatabaseFileLost, match=LOSSES[lose]) as caught:
            put(saver, "after")
        assert str(path) in str(caught.value)
        assert "open another saver" in str(caught.value)
        assert not caught.value.transient


@pytest.mark.parametrize("lose", LOSSES)
def test_a_loss_during_the_commit_is_noticed_before_the_acknowledgement(
    saver: SQLAlchemySaver, path: Path, lose: Callable[[Path], None]
) -> None:
    put(saver, "before")
    # Creates the triggers, whose texts are like the statement's.
    put(saver, "again")

    def report(when: str, statement: str) -> None:
        if when == "after" and any(text in statement for text in INSERTS_BATCH):
            lose(path)

    with reported_statements(saver, report), pytest.raises(DatabaseFileLost, match=LOSSES[lose]):
        put(saver, "after")


def test_a_file_that_is_moved_back_is_used_again(saver: SQLAlchemySaver, path: Path) -> None:
    put(saver, "before")
    moved = path.with_name("moved")
    path.rename(moved)
    with pytest.raises(DatabaseFileLost):
        put(saver, "meanwhile")
    moved.rename(path)
    put(saver, "after")
    assert threads_in(path) >= {"before", "after"}


def test_another_saver_works_on_what_is_there_now(saver: SQLAlchemySaver, path: Path) -> None:
    put(saver, "before")
    delete_with_log(path)
    with pytest.raises(DatabaseFileLost):
        put(saver, "after")
    with SQLAlchemySaver.from_conn_string(path) as another:
        put(another, "anew")
    assert threads_in(path) == {"anew"}


@pytest.mark.parametrize("lose", [delete, replace])
def test_readers_notice_it_too(saver: SQLAlchemySaver, path: Path, lose: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.db.sqlite_file._READERS_LOOK_SECONDS", 0.0)
    put(saver, "before")
    assert saver.get_tuple(config("before")) is not None
    lose(path)
    with pytest.raises(DatabaseFileLost):
        saver.get_tuple(config("before"))


def test_all_puts_of_a_batch_fail_alike(saver: SQLAlchemySaver, path: Path) -> None:
    put(saver, "before")
    path.unlink()
    with ThreadPoolExecutor(8) as pool:
        failures = [pool.submit(put, saver, f"t{number}").exception() for number in range(8)]
    assert {type(failure) for failure in failures} == {DatabaseFileLost}


def test_a_file_that_a_vacuum_makes_shorter_is_no_loss(saver: SQLAlchemySaver, path: Path) -> None:
    for number in range(30):
        made = checkpoint({"text": ["x" * 30_000 + str(number)]})
        saver.put(config(str(number)), made, metadata(), made["channel_versions"])
    saver.vacuum()
    before = path.stat().st_size
    for number in range(30):
        saver.delete_thread(str(number))
    saver.vacuum()
    assert path.stat().st_size < before
    put(saver, "after")
    saver.vacuum(full=True)
    put(saver, "and after that")
    assert threads_in(path) == {"after", "and after that"}


def test_a_file_that_another_process_makes_shorter_is_no_loss(saver: SQLAlchemySaver, path: Path) -> None:
    put(saver, "before")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE filler AS SELECT randomblob(500000) AS bytes")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        put(saver, "while it is long")
        other.execute("DROP TABLE filler")
        other.execute("PRAGMA incremental_vacuum").fetchall()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # More pages than the file has, in the log.
        other.execute("CREATE TABLE filler AS SELECT randomblob(100000) AS bytes")
    put(saver, "after")


def test_a_changed_working_directory_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with SQLAlchemySaver.from_conn_string("relative.sqlite") as saver:
        put(saver, "before")
        monkeypatch.chdir("/")
        put(saver, "after")


def test_a_link_to_the_file_is_followed(path: Path) -> None:
    link = path.with_name("link.sqlite")
    link.symlink_to(path)
    with SQLAlchemySaver.from_conn_string(link) as saver:
        put(saver, "before")
        put(saver, "after")
        delete_log(path)
        with pytest.raises(DatabaseFileLost, match="write-ahead log"):
            put(saver, "lost")
