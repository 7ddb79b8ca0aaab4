"""A store to begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.transfers import fill, sqlite_file


@pytest.fixture
def source(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a SQLite file with some threads."""
    url = sqlite_file(request, tmp_path / "app.sqlite")
    with SQLAlchemySaver.from_conn_string(url) as saver:
        fill(saver)
    return url
