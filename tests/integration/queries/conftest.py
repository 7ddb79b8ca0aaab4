"""An engine of the user's for the tests of statements and models."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.orm import engine_on


@pytest.fixture
async def engine(lasting_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine of the user's on the saver's database."""
    engine = engine_on(lasting_url)
    yield engine
    await engine.dispose()
