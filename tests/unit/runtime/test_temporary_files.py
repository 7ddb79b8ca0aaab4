"""Temporary files that are opened by their path."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ckptstore.runtime.temporary_files import DeletedOnClose, new_temporary_file, temporary_path


def test_a_temporary_path_is_closed_private_and_deleted() -> None:
    with temporary_path() as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert str(path) not in open_files()
        path.write_bytes(b"one")
        assert path.read_bytes() == b"one"
    assert not path.exists()


def test_a_temporary_path_is_deleted_after_an_error_and_may_be_missing_already() -> None:
    with pytest.raises(KeyError), temporary_path() as path:
        raise KeyError
    assert not path.exists()
    with temporary_path() as path:
        path.unlink()


def test_a_file_is_deleted_when_it_is_closed() -> None:
    path = new_temporary_file()
    path.write_bytes(b"content")
    with DeletedOnClose(path) as file:
        assert path.exists()
        assert (file.read(3), file.read()) == (b"con", b"tent")
    assert not path.exists()
    file.close()


def test_a_file_is_deleted_when_it_is_forgotten() -> None:
    path = new_temporary_file()
    file = DeletedOnClose(path)
    with pytest.warns(ResourceWarning):
        del file
    assert not path.exists()


def open_files() -> list[str]:
    return [str(each.resolve()) for each in Path("/proc/self/fd").iterdir()]
