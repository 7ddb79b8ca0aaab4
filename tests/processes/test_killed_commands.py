"""A command that is killed leaves no thread half visible, and run again it ends as one that was not killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from tests.langgraph.imports.test_official_sqlite import contents as official_contents
from tests.langgraph.imports.test_official_sqlite import fill as fill_official
from tests.support.databases import empty_tables
from tests.support.kills import Ended, run
from tests.support.transfers import contents, fill

pytestmark = pytest.mark.starts_processes

Contents = Callable[[Any], dict[Any, Any]]
#: Of each command, at so many points in equal distances.
KILLS = 3


@pytest.fixture
def target(database: str, tmp_path: Path, postgres_url: str) -> Callable[[int], list[str]]:
    """Makes an empty target, as the options that name it; a SQLite file is made by the command."""

    def options(number: int) -> list[str]:
        if database == "sqlite":
            return ["--to", str(tmp_path / f"{number}.sqlite"), "--to-blob-url", str(tmp_path / f"{number}.blobs")]
        empty_tables(postgres_url)
        return ["--to", postgres_url, "--to-blob-url", str(tmp_path / f"{number}.blobs")]

    return options


def found(options: list[str], contents: Contents = contents) -> dict[Any, Any]:
    with SQLAlchemySaver.from_conn_string(options[1], blob_url=options[3]) as saver:
        report = saver.verify(deep=True)
        assert report.ok
        assert not report.unregistered_objects
        return contents(saver)


def thread_of(key: Any) -> str:
    return str(key[0] if isinstance(key[0], str) else dict(key)["thread_id"])


def point(whole: Ended, number: int) -> int:
    """Before which statement the process is killed."""
    return whole.statements * (2 * number + 1) // (2 * KILLS)


def check(target: Callable[[int], list[str]], expected: dict[Any, Any], *command: str, contents: Contents = contents) -> None:
    whole = run(*command, *target(0))
    assert whole is not None
    assert whole.status == 0, whole.output
    for number in range(KILLS):
        options = target(number + 1)
        assert run(*command, *options, kill_at=point(whole, number)) is None
        after = found(options, contents)
        threads = {thread_of(key) for key in after}
        assert after == {key: value for key, value in expected.items() if thread_of(key) in threads}
        again = run(*command, *options)
        assert again is not None
        assert again.status == 0, again.output
        assert found(options, contents) == expected


@pytest.fixture
def ours(tmp_path: Path) -> tuple[str, dict[Any, Any]]:
    source = str(tmp_path / "source.sqlite")
    with SQLAlchemySaver.from_conn_string(source) as saver:
        fill(saver, 2, 2)
        return source, contents(saver)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_import(tmp_path: Path, target: Callable[[int], list[str]]) -> None:
    source = str(tmp_path / "official.sqlite")
    with SqliteSaver.from_conn_string(source) as saver:
        fill_official(saver, 2)
        expected = official_contents(saver)
    check(target, expected, "import", source, contents=official_contents)


@pytest.mark.parametrize("database", ["postgres"])
def test_copy(target: Callable[[int], list[str]], ours: tuple[str, dict[Any, Any]]) -> None:
    check(target, ours[1], "copy", "--from", ours[0])


@pytest.mark.parametrize("database", ["sqlite"])
def test_restore(tmp_path: Path, target: Callable[[int], list[str]], ours: tuple[str, dict[Any, Any]]) -> None:
    place = str(tmp_path / "backups")
    assert run("backup", "--url", ours[0], place) is not None
    check(target, ours[1], "restore", place)


def test_backup(tmp_path: Path, ours: tuple[str, dict[Any, Any]]) -> None:
    whole = run("backup", "--url", ours[0], str(tmp_path / "backups"))
    assert whole is not None
    for number in range(KILLS):
        place = str(tmp_path / f"backups {number}")
        assert run("backup", "--url", ours[0], place, kill_at=point(whole, number)) is None
        again = run("backup", "--url", ours[0], place)
        assert again is not None
        assert again.status == 0, again.output
        restore = ("restore", place, "--to", str(tmp_path / f"{number}.sqlite"))
        restored = run(*restore)
        assert restored is not None
        assert restored.status == 0, restored.output
        with SQLAlchemySaver.from_conn_string(restore[-1]) as saver:
            assert contents(saver) == ours[1]


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_erase(tmp_path: Path, postgres_url: str, database: str) -> None:
    whole: Ended | None = None
    for number in range(-1, KILLS):
        if database == "postgres":
            empty_tables(postgres_url)
        url, blobs = postgres_url if database == "postgres" else str(tmp_path / f"{number}.sqlite"), tmp_path / f"{number}.blobs"
        with SQLAlchemySaver.from_conn_string(url, blob_url=blobs) as saver:
            fill(saver, 2, 2)
            before = contents(saver)
            kept = contents(saver, "t1")
            command = ("threads", "erase", "--url", url, "--blob-url", str(blobs), "--filter", '{"user_id": "u0"}')
            if whole is not None:
                assert run(*command, kill_at=point(whole, number)) is None
                assert contents(saver) in (before, kept)
            ended = run(*command)
            assert ended is not None
            assert ended.status == 0, ended.output
            whole = whole or ended
            assert contents(saver) == kept
            assert sum(path.is_file() for path in blobs.rglob("*")) == 1
            assert saver.verify(deep=True).ok
