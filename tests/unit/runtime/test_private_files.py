"""New files and folders are private, unless the umask asks for shared ones."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ckptstore.runtime.private_files import create_private_file, make_private_folder, open_private

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead")

MODES = {0o022: (0o600, 0o700), 0o077: (0o600, 0o700), 0o002: (0o660, 0o770), 0o007: (0o660, 0o770), 0o000: (0o666, 0o777)}


@pytest.fixture(params=MODES, ids=oct)
def modes(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """The modes of files and folders that one umask leads to, while it holds."""
    before = os.umask(request.param)
    yield MODES[request.param]
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_the_modes_of_what_is_new(modes: tuple[int, int], tmp_path: Path) -> None:
    for_files, for_folders = modes
    make_private_folder(tmp_path / "a" / "b")
    create_private_file(tmp_path / "a" / "b" / "file")
    with open(tmp_path / "opened", "xb", opener=open_private) as file:
        file.write(b"x")
    assert [mode(tmp_path / name) for name in ("a", "a/b")] == [for_folders] * 2
    assert [mode(tmp_path / name) for name in ("a/b/file", "opened")] == [for_files] * 2


def test_what_exists_stays_as_it_is(tmp_path: Path) -> None:
    folder, path = tmp_path / "folder", tmp_path / "file"
    folder.mkdir(0o755)
    path.touch(0o644)
    before = mode(folder), mode(path)
    make_private_folder(folder)
    with pytest.raises(FileExistsError):
        create_private_file(path)
    with pytest.raises(FileExistsError):
        make_private_folder(path)
    assert (mode(folder), mode(path)) == before
