"""What a copy of a database has; test_backup.py has dumps, and objects that are marked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.errors import DatabaseCorrupt
from ckptstore.transfer.backup_contents import contents_of_file
from tests.support.transfers import fill


def test_a_file_is_counted(tmp_path: Path) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite") as saver:
        fill(saver)
    found = contents_of_file(tmp_path / "a.sqlite")
    assert (found.threads, found.checkpoints, len(found.objects)) == (3, 15, 3)
    assert found.objects == sorted(found.objects)
    assert {each.size for each in found.objects} == {70_000}


@pytest.mark.parametrize("statement", ["UPDATE ckpt_object SET size = 'x'", "DROP TABLE ckpt_thread"])
def test_what_is_altered_is_an_error(tmp_path: Path, statement: str) -> None:
    with SQLAlchemySaver.from_conn_string(tmp_path / "a.sqlite") as saver:
        fill(saver)
    with closing(connect(tmp_path / "a.sqlite")) as connection, connection:
        connection.execute(statement)
    with pytest.raises(DatabaseCorrupt):
        contents_of_file(tmp_path / "a.sqlite")
