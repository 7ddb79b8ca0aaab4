"""The official suite by the statements for a distributed database, on plain PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from ckptstore import SQLAlchemySaver
from tests.langgraph.test_conformance import CAPABILITIES
from tests.support.shards import as_on_shards


@pytest.mark.parametrize("url", ["asyncpg texts", "psycopg texts"], indirect=True)
@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_official_conformance(url: str, capability: str) -> None:
    @checkpointer_test(name=f"ckptstore-shards-{capability}")
    async def registered() -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            yield await as_on_shards(saver)

    result = (await validate(registered, capabilities={capability})).results[capability]
    assert result.failures == []
    assert result.tests_passed > 0
