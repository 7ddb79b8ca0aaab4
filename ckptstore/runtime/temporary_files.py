"""Temporary files that are opened again by their path, which Windows refuses for an open `tempfile.NamedTemporaryFile`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path

_PREFIX = "ckptstore-"


@contextmanager
def temporary_path() -> Iterator[Path]:
    """The path of an empty file, closed and readable by its owner only; the file is deleted at the end."""
    path = new_temporary_file()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def new_temporary_file() -> Path:
    """Create an empty file that the caller deletes."""
    descriptor, name = tempfile.mkstemp(prefix=_PREFIX)
    os.close(descriptor)
    return Path(name)


class DeletedOnClose(BufferedReader):
    """A file opened for reading, which is deleted when it is closed or garbage-collected.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(FileIO(path))
        self._path = path

    def close(self) -> None:
        """Close the file and delete it; a second call does nothing."""
        super().close()
        self._path.unlink(missing_ok=True)
