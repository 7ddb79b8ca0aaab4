"""The database of the queue's unit tests."""

from __future__ import annotations

import pytest

from tests.support.write_queue import ManualRunner


@pytest.fixture
def runner() -> ManualRunner:
    return ManualRunner()
