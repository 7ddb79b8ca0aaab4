"""Background retention that a test runs by hand."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.db.times import to_microseconds
from ckptstore.store.background import BackgroundRetention

NEWEST = RetentionPolicy(keep_last=1)


HOUR = timedelta(hours=1)


_numbers = itertools.count()


class EventRecorder(logging.Handler):
    """Records log events of one name, and sets `came` at the first."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name_of_event = name
        self.came = threading.Event()
        self.records: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record).get("event") == self.name_of_event:
            self.records.append(vars(record))
            self.came.set()


@contextmanager
def recorded_events(name: str) -> Iterator[EventRecorder]:
    logger, handler = logging.getLogger("ckptstore"), EventRecorder(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def retention_of(saver: SQLAlchemySaver, clock: Callable[[], Any], interval: timedelta = HOUR) -> BackgroundRetention:
    """Background retention that never starts by itself; a test calls it."""
    schedule = BackgroundRetention(saver.store, NEWEST, interval, lambda: to_microseconds(clock()))
    schedule._holder = f"holder {next(_numbers)}"
    return schedule
