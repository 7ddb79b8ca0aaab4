"""Listings whose values are in objects."""

from __future__ import annotations

import os

import pytest

from ckptstore.testing import FailingBackend
from ckptstore.values.decode import SegmentSet
from tests.support.build import config, put
from tests.support.collector import CONTENT, SharedStore


async def test_a_listing_fetches_only_what_it_gives_out(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        for number in range(20):
            await put(saver, config(f"t{number}"), {"file": CONTENT + bytes([number])}, step=number)
    async with shared.saver() as saver:
        counting = saver.store.objects._backend = FailingBackend(saver.store.objects.backend)
        assert len(await saver.alist(None, filter={"step": {"$gte": 18}})) == 2
        assert counting.calls.get("get") == 2
        assert await saver.alist(None, filter={"step": {"$gt": 99}}) == []
        assert counting.calls.get("get") == 2


async def test_a_listing_keeps_no_large_values_that_were_given_out(shared: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    release_remote = SegmentSet.release_remote

    def measure(pieces: SegmentSet) -> None:
        release_remote(pieces)
        kept.append(sum(len(pieces.local.get(digest, b"")) for digest in pieces.remote))

    monkeypatch.setattr(SegmentSet, "release_remote", measure)
    async with shared.saver() as saver:
        for number in range(3):
            await put(saver, config(f"t{number}"), {"file": os.urandom(20_000_000)})
        assert [len(found.checkpoint["channel_values"]["file"]) async for found in saver.alist(None)] == [20_000_000] * 3
    assert kept == [0, 0, 0]
