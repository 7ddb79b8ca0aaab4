"""Empty tables in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ckptstore.db.connection import Db
from tests.support.memory_db import memory_db


@pytest.fixture
def db() -> Iterator[Db]:
    with memory_db() as db:
        yield db
