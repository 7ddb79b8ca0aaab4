"""Reading files that somebody else may have replaced."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ckptstore.runtime.regular_files import is_encodable, open_regular, read_at_most


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize("make", [fifo, unix_socket])
def test_what_is_no_regular_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object) -> None:
    # The path of a socket has at most 107 characters.
    monkeypatch.chdir(tmp_path)
    make(Path("it"))  # type: ignore[operator]
    assert open_regular(Path("it")) is None
    assert open_regular(Path("/dev/zero")) is None


def test_a_missing_file_and_a_folder_raise(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


@pytest.mark.parametrize(("size", "found"), [(0, b""), (10, b"0123456789"), (11, None)])
def test_no_more_is_read_than_expected(tmp_path: Path, size: int, found: bytes | None) -> None:
    (tmp_path / "file").write_bytes(b"0123456789x"[:size])
    file = open_regular(tmp_path / "file")
    assert file is not None
    with file:
        assert read_at_most(file, 10) == found


def test_a_file_that_grows_while_it_is_read_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = open_regular(path)
    assert file is not None
    before = os.fstat(file.fileno())
    path.write_bytes(b"0123456789 and more")
    monkeypatch.setattr(os, "fstat", lambda _: before)
    with file:
        assert read_at_most(file, 10) is None


def test_what_the_file_system_can_not_name_is_no_path() -> None:
    names = ["plain", "\xfcn\xef", "\udcff", "a\0b", "\ud800"]
    assert [is_encodable(name) for name in names] == [True, True, True, False, False]
