"""Rows that lead to each other, for tests of the models."""

from __future__ import annotations

import pytest

from tests.support.orm import family


@pytest.fixture
async def ids(lasting_url: str) -> list[str]:
    """The ids of the checkpoints of `family`."""
    return await family(lasting_url)
