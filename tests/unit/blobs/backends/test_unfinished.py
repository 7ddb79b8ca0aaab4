"""Temporary files of killed uploads: deleted after some time, unless someone is writing to them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.object_keys import is_object_key, is_temporary_name, temporary_name
from ckptstore.blobs.backends.unfinished import hold
from tests.support.blob_backends import ENOUGH, KEY, files_in

DAY = 24 * 3600.0


def leave(folder: Path, name: str, age_seconds: float) -> Path:
    """A file of the given age."""
    path = folder / "ab" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age_seconds,) * 2)
    return path


@pytest.mark.parametrize("min_age_seconds", [DAY, 0.0])
async def test_old_files_of_killed_uploads_are_deleted_and_nothing_else(tmp_path: Path, min_age_seconds: float) -> None:
    backend = LocalBackend(tmp_path)
    await backend.put(KEY, b"content")
    os.utime(tmp_path / KEY, (0, 0))
    leave(tmp_path, temporary_name("abcdef-02"), DAY + 100)
    kept = [leave(tmp_path, temporary_name("abcdef-03"), 10), *[leave(tmp_path, name, 9 * DAY) for name in ("x.part", ".hidden", "README")]]
    (tmp_path / "ab" / temporary_name("link")).symlink_to(tmp_path / KEY)
    assert await backend.delete_unfinished(min_age_seconds, dry_run=True) == 1
    assert await backend.delete_unfinished(min_age_seconds, dry_run=False) == 1
    assert await backend.delete_unfinished(min_age_seconds, dry_run=False) == 0
    assert set(files_in(tmp_path)) >= {KEY, *[str(path.relative_to(tmp_path)) for path in kept]}
    assert await backend.get(KEY, ENOUGH) == b"content"


async def test_a_folder_that_is_not_there_has_none(tmp_path: Path) -> None:
    assert await LocalBackend(tmp_path / "absent").delete_unfinished(0, dry_run=False) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be deleted there")
async def test_an_old_file_that_is_being_written_stays_until_its_writer_ends(tmp_path: Path) -> None:
    path = leave(tmp_path, temporary_name("abcdef-02"), 9 * DAY)
    with path.open("r+b", buffering=0) as file:
        hold(file)
        assert await LocalBackend(tmp_path).delete_unfinished(DAY, dry_run=False) == 0
        assert path.exists()
    assert await LocalBackend(tmp_path).delete_unfinished(DAY, dry_run=False) == 1
    assert not path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be deleted there")
async def test_a_put_holds_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, found, fsync = LocalBackend(tmp_path), [], os.fsync

    def collect_meanwhile(descriptor: int) -> None:
        for path in tmp_path.glob("*/.*.part"):
            os.utime(path, (0, 0))
            script = (
                "import sys; from pathlib import Path; from ckptstore.blobs.backends.unfinished import delete_unfinished; "
                "print(delete_unfinished(Path(sys.argv[1]), 0, dry_run=False))"
            )
            # Another process, since locks are between open files.
            found.append(subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=True, text=True).stdout)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", collect_meanwhile)
    await backend.put(KEY, b"content")
    assert found == ["0\n"]
    assert await backend.get(KEY, ENOUGH) == b"content"


def test_names_of_temporary_files_are_recognised() -> None:
    for name in ("abcdef-01", "a", "a.b=c"):
        made = temporary_name(name)
        assert is_temporary_name(made)
        assert not is_object_key(made)
    for name in ("abcdef-01", ".part", "a.part", ".a.part", ".a.0123456789abcdeg.part", "..0123456789abcdef.part"):
        assert not is_temporary_name(name)
