"""SQLite URLs with parameters, and files that can only be read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from ckptstore.errors import DatabaseUnavailable, InvalidUrl
from tests.support.build import checkpoint, config, metadata, put

NOBODY = 65534
READING = """
import os, sys
from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseUnavailable
# What is imported at its first use: the interpreter's own folder may not be readable afterwards.
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    list(saver.list(None, filter={{"source": "loop"}})), list(saver.list_threads()), saver.delete_thread("none")
os.setgid({nobody}); os.setuid({nobody})
with SQLAlchemySaver.from_conn_string(sys.argv[1]) as saver:
    where = {{"configurable": {{"thread_id": "t", "checkpoint_ns": ""}}}}
    assert saver.get_tuple(where).checkpoint["channel_values"] == {{"n": 1}}
    assert len(list(saver.list(None, filter={{"source": "loop"}}))) == 1
    assert [thread.thread_id for thread in saver.list_threads()] == ["t"]
    try:
        saver.delete_thread("t")
    except DatabaseUnavailable as exc:
        print(exc)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others can look into, with a store."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        with SQLAlchemySaver.from_conn_string(path / "c.sqlite") as saver:
            made = checkpoint({"n": 1})
            saver.put(config("t"), made, metadata(1), made["channel_versions"])
        (path / "c.sqlite").chmod(0o644)
        yield path


@pytest.mark.parametrize(
    "written", ["sqlite:///{}?mode=ro", "sqlite:///file:{}?mode=ro&uri=true", "sqlite:///file:{}?immutable=1&uri=true"]
)
def test_reading_only_as_the_url_says(folder: Path, written: str) -> None:
    with SQLAlchemySaver.from_conn_string(written.format(folder / "c.sqlite")) as saver:
        found = saver.get_tuple(config("t"))
        assert found is not None
        with pytest.raises(DatabaseUnavailable, match="readonly"):
            saver.delete_thread("t")
        with pytest.raises(DatabaseUnavailable, match="readonly"):
            saver.put(config("u"), checkpoint({}), metadata(), {})
    assert parse_database_url(written.format("x")).database == "x"


def test_a_file_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(f"sqlite:///{tmp_path}/none.sqlite?mode=ro") as saver, pytest.raises(DatabaseUnavailable):
        saver.get_tuple(config("t"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize("mode", [0o555, 0o755])
def test_whoever_may_not_write_can_read(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    program = READING.format(nobody=NOBODY)
    done = subprocess.run([sys.executable, "-c", program, str(folder / "c.sqlite")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"can't write the SQLite file {folder / 'c.sqlite'}" in done.stdout
    assert sorted(path.name for path in folder.iterdir() if path.name != "c.sqlite.blobs") == ["c.sqlite"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("timeout=5", "busy_timeout_seconds"),
        ("mode=rw", "can't have mode=rw"),
        ("vfs=unix-none", "can't have vfs=unix-none"),
        ("cache=shared", "can't have cache=shared"),
    ],
)
def test_another_parameter_is_refused(query: str, says: str) -> None:
    with pytest.raises(InvalidUrl, match=re.escape(says)):
        parse_database_url(f"sqlite:///c.sqlite?{query}")


def test_parameters_that_are_the_default(tmp_path: Path) -> None:
    assert parse_database_url("sqlite:///c.sqlite?mode=rwc&cache=private").query == {}


async def test_writing_where_it_is_allowed(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(f"sqlite:///file:{tmp_path}/with%20space.sqlite?mode=rwc&uri=true") as saver:
        await put(saver, config("t"), {"n": 1})
    assert (tmp_path / "with space.sqlite").exists()
