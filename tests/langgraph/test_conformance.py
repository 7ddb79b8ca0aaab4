"""The official suite, all eight capabilities by name, on every database and driver."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from langgraph.checkpoint.conformance import checkpointer_test, validate

from ckptstore import SQLAlchemySaver

CAPABILITIES = ("put", "put_writes", "get_tuple", "list", "delete_thread", "delete_for_runs", "copy_thread", "prune")


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_official_conformance(url: str, capability: str) -> None:
    @checkpointer_test(name=f"ckptstore-{capability}")
    async def registered() -> AsyncIterator[SQLAlchemySaver]:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            yield saver

    report = await validate(registered, capabilities={capability})
    result = report.results[capability]
    assert result.detected, "the suite calls a saver complete even where a capability is absent"
    assert result.failures == []
    assert result.passed
    assert result.tests_passed > 0
