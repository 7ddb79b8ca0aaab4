"""Uploads that fail, lose their answer, or whose caller is cancelled."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ckptstore.errors import BlobUnavailable
from ckptstore.testing import FailingBackend
from tests.support.build import config, put
from tests.support.collector import SharedStore, check, store


async def test_a_backend_that_fails_fails_the_write_and_nothing_else(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("put", BlobUnavailable("no space left", transient=False))
        failed, fine = await asyncio.gather(store(saver, "t"), put(saver, config("u"), {"small": 1}), return_exceptions=True)
        assert isinstance(failed, BlobUnavailable)
        assert not isinstance(fine, BaseException)
        await store(saver, "t")
    await check(shared, {"t"})


async def test_an_upload_whose_answer_was_lost_is_collected(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        objects = saver.store.objects
        failing = objects._backend = FailingBackend(objects.backend)
        failing.fail("put", BlobUnavailable("connection lost", transient=False), after=True)
        with pytest.raises(BlobUnavailable):
            await store(saver, "t")
        await store(saver, "t")
        assert len(shared.objects()) == 2
    await check(shared, {"t"})


async def test_an_upload_is_an_event(shared: SharedStore, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ckptstore.blobs.registry")
    async with shared.saver() as saver:
        await store(saver, "t")
    (event,) = [record for record in caplog.records if vars(record).get("event") == "blob_uploaded"]
    assert vars(event)["bytes"] > 0
    assert {"key", "seconds"} <= vars(event).keys()
