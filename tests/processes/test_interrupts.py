"""A process whose calls are interrupted by real signals, again and again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.databases import url_of
from tests.support.forks import fork
from tests.support.programs import interrupt_updates


@pytest.mark.starts_processes
@pytest.mark.parametrize("database", ["sqlite", "asyncpg", "psycopg"])
def test_updates_that_signals_interrupt_leave_the_process_usable(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    done = fork(interrupt_updates, url_of(database, request, tmp_path))
    assert done.everything() == ["last", True]
    assert done.process.exitcode == 0
