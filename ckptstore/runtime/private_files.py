"""New files and folders that only their owner can open: they hold users' conversations with agents.

A umask that leaves the write permission to the group, or to everybody, asks for shared files: then these may read them as well. The
usual umask of 022 does not.
"""

from __future__ import annotations

import os
from pathlib import Path

# Nobody but the owner gets the permission to read before the umask is known: it can't be asked for without being changed.
_FILE_MODE = 0o622
_FOLDER_MODE = 0o722


def open_private(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file that is created now, for `open(path, "xb", opener=open_private)`."""
    descriptor = os.open(path, flags, _FILE_MODE)
    _share(path)
    return descriptor


def create_private_file(path: str | os.PathLike[str]) -> None:
    """Create an empty file.

    Raises:
        OSError: `FileExistsError` if it exists, and the others of `os.open`.
    """
    os.close(open_private(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))


def make_private_folder(folder: Path) -> None:
    """Create a folder if it does not exist, and those above it that are missing."""
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(_FOLDER_MODE)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        _share(folder)


def _share(path: str | os.PathLike[str]) -> None:
    """Give those that the umask lets write all that the owner may do."""
    mode = os.stat(path).st_mode & 0o777
    owner = mode >> 6
    shared = owner << 6 | (owner << 3 if mode & 0o020 else 0) | (owner if mode & 0o002 else 0)
    if shared != mode:
        os.chmod(path, shared)
