"""SQLite waits for a lock no longer than its work may be repeated."""

from __future__ import annotations

import time
from typing import Any

import pytest

from ckptstore.db.busy_timeout import run_within
from ckptstore.db.settings import DatabaseSettings


class RecordingDb:
    """A database that records the statements that it is sent."""

    def __init__(self) -> None:
        self.kept: dict[str, float] = {}
        self.statements: list[str] = []

    def execute(self, text: str) -> None:
        self.statements.append(text)


@pytest.mark.parametrize(("settings_seconds", "left", "milliseconds"), [(30.0, 60.0, 1000), (0.5, 60.0, 500), (30.0, -1.0, 0)])
def test_the_shortest_bound_counts_and_is_set_once(settings_seconds: float, left: float, milliseconds: int) -> None:
    db: Any = RecordingDb()
    until = time.monotonic() + left
    for _ in range(2):
        run_within(lambda _db: None, lambda: until, DatabaseSettings(busy_timeout_seconds=settings_seconds), db)
    assert db.statements == [f"PRAGMA busy_timeout={milliseconds}"]
