"""Notices that the SQLite file of open connections was deleted, replaced or truncated from outside.

A connection keeps using the file that it opened, whatever its path names now: commits into a deleted file succeed. SQLite itself looks for
this only in its other journal modes (`SQLITE_READONLY_DBMOVED`). So the runner looks after each commit: a commit is acknowledged
only if its file, and the write-ahead log that it is in, were at their paths after it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from ckptstore.errors import DatabaseFileLost
from ckptstore.runtime.private_files import create_private_file

_FileId = tuple[int, int]

# How often readers look; the writer looks after each commit.
_READERS_LOOK_SECONDS = 1.0


class SqliteFile:
    """The file of one runner's connections. Looking at it takes two system calls.

    Args:
        path: of the database.
        is_whole: tells, from a new connection, whether a file of so many bytes holds the whole database; asked where the file became
            shorter, as a vacuum, of any process, makes it.
        creates: whether a file that does not exist is created, so that only its owner can open it. SQLite gives the log and the shared
            memory beside it the same permissions.
    """

    def __init__(self, path: str, is_whole: Callable[[int], bool], *, creates: bool = False) -> None:
        # Absolute, as the connections have it: the working directory may change.
        self.path = os.path.abspath(path)
        self._is_whole = is_whole
        self._creates = creates
        self._opened: _FileId | None = None
        self._size = 0
        self._log_path = ""
        self._log: _FileId | None = None
        self._truncated_to: int | None = None
        #: When readers look next, by the monotonic clock.
        self.look_again_at = 0.0

    def look(self) -> None:
        """Return if the file that was opened first, and its log, are still at their paths.

        Raises:
            DatabaseFileLost: they are not, or the file was truncated.
        """
        try:
            file, log = os.stat(self.path), os.stat(self._log_path)
        except OSError:
            self._examine()
            return
        # Written out, and in one function: this runs with every commit.
        is_same = (file.st_dev, file.st_ino) == self._opened and (log.st_dev, log.st_ino) == self._log
        if not is_same or file.st_size < self._size or self._truncated_to is not None:
            self._examine()
        else:
            self._size = file.st_size
            self.look_again_at = time.monotonic() + _READERS_LOOK_SECONDS

    def _examine(self) -> None:
        file = _stat(self.path)
        if file is None:
            raise self._lost("was deleted or moved away")
        if self._opened is None:
            # The log is beside the file itself, not beside a link to it.
            self._log_path = f"{os.path.realpath(self.path)}-wal"
            self._opened = _id_of(file)
        elif _id_of(file) != self._opened:
            raise self._lost("was replaced by another file")
        if file.st_size < self._size or self._truncated_to is not None:
            self._check_size(file.st_size)
        self._check_log()
        self._size = file.st_size
        self.look_again_at = time.monotonic() + _READERS_LOOK_SECONDS

    def look_before_opening(self) -> None:
        """Like `look`, unless no connection was opened yet. A connection to an empty file would delete the log that is beside it."""
        if self._opened is not None:
            self.look()
        elif self._creates:
            # SQLite reports why a file can't be created.
            with suppress(OSError):
                create_private_file(self.path)

    def closed(self) -> None:
        """All connections were closed, and SQLite has deleted the log."""
        self._log = None

    def _check_log(self) -> None:
        log = _stat(self._log_path)
        if self._log is None:
            # Without one, nothing was read or written yet, or the file system can't have a log.
            self._log = None if log is None else _id_of(log)
        elif log is None or _id_of(log) != self._log:
            raise self._lost("lost its write-ahead log (-wal), with the last commits: that was deleted or replaced")

    def _check_size(self, size: int) -> None:
        # Not forgotten: later writes make the file longer again, with a hole in it.
        if self._truncated_to is None and not self._is_whole(size):
            self._truncated_to = size
        if self._truncated_to is not None:
            raise self._lost(f"was truncated to {self._truncated_to} bytes")

    def _lost(self, what: str) -> DatabaseFileLost:
        return DatabaseFileLost(
            f"the SQLite file {self.path} {what} while this saver had it open; nothing was acknowledged since. Close every saver on it, "
            "put the file (with its -wal, if there is one) back or restore a backup, and open another saver"
        )


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def _id_of(file: os.stat_result) -> _FileId:
    return file.st_dev, file.st_ino
