"""Logging of the backends: one event for each operation, and the progress of large files."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LOG_EVERY_BYTES = 64 * 1024 * 1024


class TooManyBytes(Exception):
    """A transfer has more bytes than it may have; raised within the transfer, which ends there."""


class TransferProgress:
    """Counts the bytes of one transfer, and logs the progress of a large one every 64 MiB.

    Attributes:
        max_bytes: the transfer ends once it is known to have more.
    """

    def __init__(self, logger: logging.Logger, key: str) -> None:
        self.bytes = 0
        self.max_bytes = sys.maxsize
        self._logger = logger
        self._key = key
        self._logged_bytes = 0

    def reached(self, total: int | None, done: int) -> None:
        """Record that `done` of `total` bytes were transferred.

        Raises:
            TooManyBytes: these are more than `max_bytes`.
        """
        self.bytes = done
        if max(total or 0, done) > self.max_bytes:
            raise TooManyBytes
        if total is None or total <= _LOG_EVERY_BYTES or done - self._logged_bytes < _LOG_EVERY_BYTES:
            return
        self._logged_bytes = done
        self._logger.info(
            "%d of %d bytes of %s transferred", done, total, self._key,
            extra={"event": "blob_progress", "key": self._key, "bytes": done, "total": total},
        )  # fmt: skip


@contextmanager
def log_operation(logger: logging.Logger, level: int, event: str, key: str) -> Iterator[TransferProgress]:
    """Log an operation once it has succeeded. A failure raises, and the code that catches it decides what to log."""
    started = time.perf_counter()
    progress = TransferProgress(logger, key)
    yield progress
    seconds = time.perf_counter() - started
    logger.log(
        level, "%s %s: %d bytes in %.3f s", event, key, progress.bytes, seconds,
        extra={"event": event, "key": key, "bytes": progress.bytes, "seconds": seconds},
    )  # fmt: skip
