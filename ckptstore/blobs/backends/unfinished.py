"""Temporary files of uploads that a killed process left in a folder.

Whoever writes such a file holds a lock on it, which the system releases with the process, so a writer that was suspended for days keeps its
file. The age of a file decides too: a lock is taken a moment after the file is created, and released a moment before it is renamed.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from io import FileIO
from pathlib import Path
from stat import S_ISREG

from ckptstore.blobs.backends.object_keys import is_temporary_name

if sys.platform != "win32":
    import fcntl

# Longer than those moments.
_MIN_AGE_SECONDS = 60.0


def hold(file: FileIO) -> None:
    """Hold a temporary file until it is closed. On Windows an open file can't be deleted."""
    if sys.platform != "win32":
        # Some network mounts know no locks.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)


def delete_unfinished(folder: Path, min_age_seconds: float, *, dry_run: bool) -> int:
    """Delete the temporary files in a folder and below that no one holds and that were not written to for some time; returns how many."""
    before = time.time() - max(min_age_seconds, _MIN_AGE_SECONDS)
    count = 0
    for parent, _, names in os.walk(folder):
        for name in filter(is_temporary_name, names):
            # It may have been renamed or deleted meanwhile, or belong to another user.
            with suppress(OSError):
                count += _delete(Path(parent, name), before, dry_run=dry_run)
    return count


def _delete(path: Path, before: float, *, dry_run: bool) -> bool:
    found = path.lstat()
    if not S_ISREG(found.st_mode) or found.st_mtime >= before:
        return False
    with path.open("r+b") as file:
        if sys.platform != "win32":
            # Raises if a writer holds it.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not dry_run:
                path.unlink()
            return True
    if not dry_run:
        path.unlink()
    return True
