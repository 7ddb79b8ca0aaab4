"""Reading files that somebody else may have replaced: only regular ones, without blocking, and no more than expected."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path

# Opening a FIFO would otherwise wait for a writer, and opening a terminal could make it this process's own.
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def is_encodable(text: str) -> bool:
    """Whether a text can be a path, or a part of a URL: no NUL character, and no half of a surrogate pair but those of `os.fsdecode`."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def open_regular(path: Path) -> FileIO | None:
    """Open a file for reading; None if it is a device, a FIFO or a socket.

    Raises:
        OSError: it can't be opened, or is a folder.
    """
    try:
        file = FileIO(path, "rb", opener=lambda name, flags: os.open(name, flags | _FLAGS))
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            # A socket, or a device that is not there.
            return None
        raise
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def read_at_most(file: FileIO, max_bytes: int) -> bytes | None:
    """A file's content; None if it has more bytes than this."""
    size = os.fstat(file.fileno()).st_size
    if size > max_bytes:
        return None
    parts: list[bytes] = []
    left = size + 1
    # One call reads at most 2 GiB on Linux.
    while left and (part := file.read(left)):
        parts.append(part)
        left -= len(part)
    return (parts[0] if len(parts) == 1 else b"".join(parts)) if left else None
