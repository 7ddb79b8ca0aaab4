"""Restores are into an empty store, or one that the same backup was being restored into; altered backups are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.backups import restore, take
from tests.support.build import checkpoint, config, metadata
from tests.support.checked_rows import run as execute
from tests.support.transfers import contents, fill


@pytest.fixture
def saver(lasting_url: str, tmp_path: Path) -> Any:
    with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=tmp_path / "blobs") as saver:
        fill(saver)
        yield saver


def test_only_into_an_empty_place_or_one_that_it_began_with(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    take(saver, tmp_path / "backups")
    target = str(tmp_path / "restored.sqlite")
    with SQLAlchemySaver.from_conn_string(target) as other:
        other.put(config("own"), checkpoint({}), metadata(0), {})
    refused = restore(tmp_path / "backups", target)
    assert (refused.exit_code, "into an empty store" in refused.output) == (1, True)
    with SQLAlchemySaver.from_conn_string(target) as other:
        other.delete_thread("own")
    assert restore(tmp_path / "backups", target).exit_code == 0
    # As if it had been killed before its end.
    with SQLAlchemySaver.from_conn_string(target) as other:
        other.delete_thread("t1")
        (name,) = [each.name for each in (tmp_path / "backups" / "backup").iterdir() if each.suffix == ".json"]
        value = json.dumps({"backup": name.removesuffix(".json")})
        execute(other, f"INSERT INTO ckpt_setting (name, value) VALUES ('restoring', '{value}')")
    assert restore(tmp_path / "backups", target).exit_code == 0
    with SQLAlchemySaver.from_conn_string(target) as other:
        assert contents(other) == contents(saver)


def test_an_altered_backup_is_noticed(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    take(saver, tmp_path / "backups")
    (file,) = (tmp_path / "backups" / "backup").glob("*.sqlite")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert "truncated or altered" in restore(tmp_path / "backups", str(tmp_path / "r.sqlite")).output
    assert "no backup 'x'; it has " in restore(tmp_path / "backups", str(tmp_path / "r.sqlite"), "--name", "x").output


def test_what_is_lost_of_a_backup_is_noticed(saver: SQLAlchemySaver, tmp_path: Path) -> None:
    report = take(saver, tmp_path / "backups")
    assert report.objects == 3
    (path, *_) = [each for each in (tmp_path / "backups").rglob("*") if each.is_file() and each.parent.name != "backup"]
    path.unlink()
    target = str(tmp_path / "r.sqlite")
    refused = restore(tmp_path / "backups", target)
    assert refused.exit_code == 1
    assert path.name in refused.output
    # A blob that is back is brought by another run.
    take(saver, tmp_path / "backups")
    assert restore(tmp_path / "backups", target, "--name", report.name).exit_code == 0
    with SQLAlchemySaver.from_conn_string(target) as restored:
        assert contents(restored) == contents(saver)
