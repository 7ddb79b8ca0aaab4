"""What the backends log: one event an operation, and the progress of large files."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STEP_BYTES = 64 * 1024 * 1024


class TransferProgress:
    """Counts the bytes of one transfer; says how far it is at every 64 MiB of a larger one."""

    def __init__(self, logger: logging.Logger, key: str) -> None:
        self.bytes = 0
        self._logger = logger
        self._key = key
        self._said = 0

    def reached(self, total: int | None, done: int) -> None:
        """Note that `done` bytes of `total` are there."""
        self.bytes = done
        if total is None or total <= _STEP_BYTES or done - self._said < _STEP_BYTES:
            return
        self._said = done
        self._logger.info(
            "%d of %d bytes of %s are through", done, total, self._key,
            extra={"event": "blob_progress", "key": self._key, "bytes": done, "total": total},
        )  # fmt: skip


@contextmanager
def log_operation(logger: logging.Logger, level: int, event: str, key: str) -> Iterator[TransferProgress]:
    """Log an operation when it has succeeded; who fails raises, and whoever catches that decides what to log."""
    started = time.perf_counter()
    progress = TransferProgress(logger, key)
    yield progress
    seconds = time.perf_counter() - started
    logger.log(
        level, "%s %s: %d bytes in %.3f s", event, key, progress.bytes, seconds,
        extra={"event": event, "key": key, "bytes": progress.bytes, "seconds": seconds},
    )  # fmt: skip
