"""Checkpoints whose objects are deleted while they are read."""

from __future__ import annotations

import os

from tests.support.build import config, put
from tests.support.collector import SharedStore, collect_pass


async def test_what_is_pruned_and_collected_during_a_listing_is_left_out(shared: SharedStore) -> None:
    async with shared.saver() as saver, shared.saver() as other:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": os.urandom(20_000_000)})
        given = saver.alist(None)
        first = await anext(given)
        for number in range(3):
            await other.adelete_thread(f"t{number}")
        for _ in range(2):
            await collect_pass(other)
        rest = [found async for found in given]
        assert len(first.checkpoint["channel_values"]["file"]) == 20_000_000
        assert rest == []
