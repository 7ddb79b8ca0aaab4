"""The files of the official SQLite savers, of today and of earlier releases, and files that are none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from ckptstore.errors import InvalidSource
from tests.support.build import checkpoint, config, metadata
from tests.support.official import key_of
from tests.support.serialisers import encrypting
from tests.support.transfers import threads_of


def fill(saver: BaseCheckpointSaver[Any], threads: int = 3, values: dict[str, Any] | None = None) -> None:
    for number in range(threads):
        where = config(f"t{number}")
        for step in range(3):
            made = checkpoint({"n": step, "list": list(range(step)), **(values or {})})
            where = saver.put(where, made, metadata(step, user_id=f"u{number}"), made["channel_versions"])
            saver.put_writes(where, [("n", step), ("list", [step])], f"task {step}", "~path")


def contents(saver: BaseCheckpointSaver[Any]) -> dict[Any, Any]:
    return {key_of(each.config): (each.checkpoint, each.metadata, each.pending_writes) for each in saver.list(None)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with SqliteSaver.from_conn_string(str(tmp_path / "official.sqlite")) as saver:
        fill(saver)
    return tmp_path / "official.sqlite"


@pytest.fixture
def ours(tmp_path: Path) -> Any:
    with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        yield saver


def test_the_file_is_not_changed(file: Path, ours: SQLAlchemySaver) -> None:
    before = file.read_bytes()
    assert ours.import_from(file).threads == 3
    assert file.read_bytes() == before


def test_while_it_is_written_to(file: Path, ours: SQLAlchemySaver) -> None:
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM checkpoints")
        assert ours.import_from(f"sqlite:///{file}").threads == 3


def test_threads_are_chosen(file: Path, ours: SQLAlchemySaver) -> None:
    assert ours.import_from(file, since=datetime(2100, 1, 1, tzinfo=UTC)).threads == 0
    assert ours.import_from(file, filter={"user_id": "u1"}).threads == 1
    assert threads_of(ours) == ["t1"]
    assert ours.import_from(file, threads=["t0", "nobody"], newest=1).threads == 1
    (left,) = ours.list(config("t0"))
    assert left.metadata["step"] == 2
    assert left.parent_config is None
    with SqliteSaver.from_conn_string(str(file)) as saver:
        assert contents(saver)[key_of(left.config)] == (left.checkpoint, left.metadata, left.pending_writes)


def test_pages_of_threads(file: Path, ours: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ckptstore.langgraph.imports.official_sqlite._THREADS_PER_PAGE", 1)
    assert ours.import_from(file).threads == 3


def test_files_in_values_become_blobs_stored_once(tmp_path: Path, ours: SQLAlchemySaver) -> None:
    from tests.support.rows import Rows

    upload = bytes(range(256)) * 400
    with SqliteSaver.from_conn_string(str(tmp_path / "official.sqlite")) as saver:
        fill(saver, 1, {"file": {"name": "report", "content": upload}})
        assert ours.import_from(tmp_path / "official.sqlite").ok
        assert contents(ours) == contents(saver)
    assert len(Rows.of(ours).referred_objects()) == 1
    assert ours.verify(deep=True).ok


def test_an_encrypted_store_needs_its_serialiser(tmp_path: Path, ours: SQLAlchemySaver) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "secret.sqlite")) as saver:
        saver.serde = encrypting()
        fill(saver, 1)
        report = ours.import_from(tmp_path / "secret.sqlite")
        assert "give the serialiser that reads it" in report.failed_threads["t0"]
        assert threads_of(ours) == []
        assert ours.import_from(tmp_path / "secret.sqlite", serde=encrypting()).ok
        assert contents(ours) == contents(saver)


def test_a_store_with_pickles_needs_its_serialiser(tmp_path: Path, ours: SQLAlchemySaver) -> None:
    pickling = JsonPlusSerializer(pickle_fallback=True)
    with SqliteSaver.from_conn_string(str(tmp_path / "pickles.sqlite")) as saver:
        saver.serde = pickling
        fill(saver, 1, {"odd": {1, "a", 2.5, complex(1, 2)}})
        report = ours.import_from(tmp_path / "pickles.sqlite")
        assert "--serde module:object" in report.failed_threads["t0"]
        assert ours.import_from(tmp_path / "pickles.sqlite", serde=pickling).ok
        ours.serde = pickling
        assert contents(ours) == contents(saver)


def test_tables_of_before_there_were_task_paths(file: Path, ours: SQLAlchemySaver) -> None:
    with closing(sqlite3.connect(file)) as old:
        old.execute("ALTER TABLE writes DROP COLUMN task_path")
        old.commit()
    assert ours.import_from(file).threads == 3
    with SqliteSaver.from_conn_string(str(file)) as saver:
        assert contents(ours) == contents(saver)


def test_a_checkpoint_in_json_of_2024(file: Path, ours: SQLAlchemySaver) -> None:
    with closing(sqlite3.connect(file)) as old:
        body = (
            '{"v": 1, "id": "1ef4f797-8335-6428-8001-8a1503f9b875", "ts": "2024-05-04T06:32:42.235444+00:00", "versions_seen": {}, '
            '"channel_versions": {"messages": 2, "n": 2}, "pending_sends": [], "channel_values": {"n": 5, "messages": [{"lc": 1, '
            '"type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"], "kwargs": {"content": "hi"}}]}}'
        )
        said = b'{"source": "loop", "step": 0, "writes": {}}'
        row = ("old", "", "1ef4f797-8335-6428-8001-8a1503f9b875", None, "json", body.encode(), said)
        old.execute("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        old.execute("INSERT INTO writes VALUES ('old', '', ?, 'task', '', 0, 'n', 'json', ?)", (row[2], b"7"))
        old.commit()
    assert ours.import_from(file, threads=["old"]).ok
    with SqliteSaver.from_conn_string(str(file)) as saver:
        assert list(ours.list(config("old"))) == list(saver.list(config("old")))
    (found,) = ours.list(config("old"))
    assert found.checkpoint["channel_values"]["messages"][0].content == "hi"
    (thread,) = ours.list_threads()
    assert thread.created_at.isoformat() == "2024-05-04T06:32:42.235444+00:00"


def test_a_damaged_checkpoint_fails_its_thread_alone(file: Path, ours: SQLAlchemySaver) -> None:
    with closing(sqlite3.connect(file)) as damaged:
        damaged.execute("UPDATE checkpoints SET checkpoint = substr(checkpoint, 1, 20) WHERE thread_id = 't1'")
        damaged.execute("UPDATE checkpoints SET metadata = '[' WHERE thread_id = 't2'")
        damaged.commit()
    report = ours.import_from(file)
    assert report.threads == 1
    assert "can't be read as msgpack" in report.failed_threads["t1"]
    assert "no JSON" in report.failed_threads["t2"]


def test_what_is_no_saver_is_refused(file: Path, ours: SQLAlchemySaver, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE checkpoints (thread_id, thread_ts, parent_ts, checkpoint, metadata)")
    text = tmp_path / "notes.txt"
    text.write_text("no database " * 200)
    (tmp_path / "empty.sqlite").touch()
    for path, says in (
        (tmp_path / "missing.sqlite", "does not exist"),
        (tmp_path / ("long" * 100), "File name too long|does not exist"),
        (text, "can't be read as a SQLite database"),
        (other, "before 0.2"),
        (tmp_path / "empty.sqlite", "no tables of an official saver"),
    ):
        with pytest.raises(InvalidSource, match=says):
            ours.import_from(path)
    assert not (tmp_path / "missing.sqlite").exists()
    ours.setup()
    with SQLAlchemySaver.from_conn_string(":memory:") as elsewhere, pytest.raises(InvalidSource, match="ckptstore copy"):
        elsewhere.import_from(tmp_path / "ours.sqlite")
