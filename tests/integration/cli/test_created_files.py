"""A command that is refused leaves no file behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.cli.created_files import removed_if_refused
from ckptstore.db.url import parse_database_url
from tests.langgraph.imports.test_official_sqlite import fill as fill_official
from tests.support.build import checkpoint, config, metadata
from tests.support.serialisers import encrypting
from tests.support.transfers import fill


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    with SQLAlchemySaver.from_conn_string(str(folder / "ours")) as ours:
        fill(ours, 1, 2)
    for name in ("official", "encrypted"):
        with SqliteSaver.from_conn_string(str(folder / name)) as saver:
            saver.serde = encrypting() if name == "encrypted" else saver.serde
            fill_official(saver, 1)
    with SqliteSaver.from_conn_string(str(folder / "no saver's")) as saver:
        saver.conn.execute("CREATE TABLE a (b)")
    (folder / "text").write_text("no database " * 1_000)
    assert run("backup", "--url", str(folder / "ours"), str(folder / "backups")).exit_code == 0
    return folder


REFUSED = [
    ("import missing", "does not exist"),
    ("import text", "can't be read as a SQLite database"),
    ("import no saver's", "has no tables of an official saver"),
    ("import ours", "use ckptstore copy --from"),
    ("import encrypted", "a checkpoint itself is encrypted (msgpack+aes): give the serialiser that reads it (--serde module:object)"),
    ("import official --from-schema other", "SQLite has no schemas"),
    ("import official --mirror --newest 1", "can't be combined with"),
    ("import official --thread nobody", "there is no thread 'nobody' at the source"),
    ("copy --from official", "none of ckptstore; bring its threads into a store of ckptstore: ckptstore import sqlite+"),
    ("copy --from text", "is damaged"),
    ("copy --from ours --blobs keep", "only where both sides have the same blob URL"),
    ("copy --from ours --verify objects --serde no:module", "can't be imported"),
    ("copy --from ours --thread nobody", "there is no thread 'nobody' at the source"),
    ("move --from official", "ckptstore import sqlite+"),
    ("move --from ours --blobs keep", "only where both sides have the same blob URL"),
    ("restore missing", "has no backup"),
    ("restore backups --name another", "has no backup 'another'; it has"),
]


@pytest.mark.parametrize(("command", "says"), REFUSED, ids=[command for command, _ in REFUSED])
def test_nothing_is_left_of_a_refused_command(sources: Path, tmp_path: Path, command: str, says: str) -> None:
    name, *options = command.replace("no saver's", "no_saver's").split()
    named = [str(sources / each.replace("_", " ")) if (sources / each.replace("_", " ")).exists() else each for each in options]
    done = run(name, *named, "--to", str(tmp_path / "new.sqlite"))
    assert done.exit_code == 1, done.output
    assert says in done.output
    assert done.output.count(says) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_target_in_the_folder_of_blobs_is_refused(sources: Path) -> None:
    before = sorted(sources.rglob("*"))
    done = run("copy", "--from", str(sources / "ours"), "--to", str(sources / "ours.blobs" / "new.sqlite"))
    assert "is in the folder of the other's blobs" in done.output
    assert sorted(sources.rglob("*")) == before


def put(path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(str(path)) as saver:
        saver.put(config("t"), checkpoint({}), metadata(0), {})


def set_up(path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(str(path)) as saver:
        saver.setup()


def end(path: Path, status: int, use: Callable[[Path], object]) -> None:
    """A command that uses a file, and ends with a status."""
    with pytest.raises(SystemExit), removed_if_refused(parse_database_url(path)):  # noqa: PT012 - the block is what it is about
        use(path)
        raise SystemExit(status)


@pytest.mark.parametrize(("use", "status", "is_left"), [(put, 1, True), (set_up, 1, False), (set_up, 0, True), (lambda _: None, 1, False)])
def test_only_what_is_new_and_unused_is_removed(tmp_path: Path, use: Callable[[Path], None], status: int, is_left: bool) -> None:
    path = tmp_path / "new.sqlite"
    end(path, status, use)
    assert list(tmp_path.iterdir()) == ([path] if is_left else [])


def test_a_file_that_somebody_has_opened_stays(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    opened = []

    def use(path: Path) -> None:
        set_up(path)
        opened.append(sqlite3.connect(path))
        assert opened[0].execute("SELECT count(*) FROM ckpt_thread").fetchone() == (0,)

    end(path, 1, use)
    with closing(opened[0]):
        assert path.exists()


def test_a_file_that_was_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    set_up(path)
    end(path, 1, set_up)
    assert path.exists()
