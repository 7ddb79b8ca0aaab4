"""Retention in the background, run when a test asks."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.db.models import to_microseconds
from ckptstore.store.background import BackgroundRetention

NEWEST = RetentionPolicy(keep_last=1)


HOUR = timedelta(hours=1)


_numbers = itertools.count()


class Told(logging.Handler):
    """Sets an event when a log event of a name comes."""

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
def told_of(name: str) -> Iterator[Told]:
    logger, handler = logging.getLogger("ckptstore"), Told(name)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def retention_of(saver: SQLAlchemySaver, clock: Callable[[], Any], interval: timedelta = HOUR) -> BackgroundRetention:
    """One that never runs by itself: a test asks it to."""
    schedule = BackgroundRetention(saver.store, NEWEST, interval, lambda: to_microseconds(clock()))
    schedule._holder = f"holder {next(_numbers)}"
    return schedule
