"""Retries and the bound on operations at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.observed import ObservedBackend
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend, BlobEntry
from ckptstore.blobs.backends.wrappers import BackendWrapper, BoundedBackend, RetryingBackend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobMissing, BlobUnavailable
from ckptstore.testing import BlobBackendConformance, FailingBackend, PausingBackend
from tests.support.blob_backends import ENOUGH, KEY, T, listed


class TestWrapped(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> BlobBackend:
        return FailingBackend(PausingBackend(RetryingBackend(BoundedBackend(LocalBackend(tmp_path / "blobs"), 1), 0)))


def retrying(tmp_path: Path, seconds: float) -> tuple[RetryingBackend, FailingBackend]:
    failing = FailingBackend(LocalBackend(tmp_path / "blobs"))
    return RetryingBackend(failing, seconds), failing


async def test_passing_faults_are_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend, failing = retrying(tmp_path, 60)
    (tmp_path / "source").write_bytes(b"from a file")
    for operation in ("put", "put_file", "get", "get_file", "size", "delete", "entries"):
        failing.fail(operation, BlobUnavailable("lost"), times=2)
    with caplog.at_level(logging.WARNING):
        await backend.put(KEY, b"content")
        await backend.put_file("ab/file", tmp_path / "source")
        assert await backend.get(KEY, ENOUGH) == b"content"
        await backend.get_file(KEY, tmp_path / "target", ENOUGH)
        assert await backend.size(KEY) == 7
        await backend.delete(KEY)
        assert await listed(backend) == [BlobEntry("ab/file", 11)]
    assert (tmp_path / "target").read_bytes() == b"content"
    assert Counter((r.__dict__["event"], r.__dict__["operation"]) for r in caplog.records) == Counter(
        {("blob_retry", name): 2 for name in ("put", "put_file", "get", "get_file", "size", "delete", "entries")}
    )


async def test_an_answer_that_was_lost_does_no_harm(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    for operation in ("put", "delete"):
        failing.fail(operation, BlobUnavailable("lost"), after=True)
    await backend.put(KEY, b"content")
    assert await listed(backend) == [BlobEntry(KEY, 7)]
    await backend.delete(KEY)
    assert await listed(backend) == []
    assert (failing.calls["put"], failing.calls["delete"]) == (2, 2)


@pytest.mark.parametrize(
    "error", [BlobUnavailable("full", transient=False), BlobMissing("gone"), KeyboardInterrupt(), ValueError("defect")]
)
async def test_other_faults_are_raised_at_once(error: BaseException, tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    failing.fail("get", error, times=99)
    with pytest.raises(type(error)):
        await backend.get(KEY, ENOUGH)
    assert failing.calls["get"] == 1


async def test_retries_are_bounded(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 0.2)
    failing.fail("get", BlobUnavailable("lost"), times=1_000_000)
    with pytest.raises(BlobUnavailable, match="lost"):
        await backend.get(KEY, ENOUGH)
    assert 1 < failing.calls["get"] < 1_000_000


async def test_no_seconds_for_retries_means_one_attempt(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 0)
    failing.fail("get", BlobUnavailable("lost"))
    with pytest.raises(BlobUnavailable):
        await backend.get(KEY, ENOUGH)
    assert failing.calls["get"] == 1


async def test_a_listing_that_breaks_midway_is_not_called_complete(tmp_path: Path) -> None:
    backend, failing = retrying(tmp_path, 60)
    for number in range(3):
        await backend.put(f"ab/{number}", b"content")
    failing.fail("entries", BlobUnavailable("lost"), on_call=3)
    entries = backend.entries()
    assert {await anext(entries), await anext(entries)} <= {BlobEntry(f"ab/{number}", 7) for number in range(3)}
    with pytest.raises(BlobUnavailable):
        await anext(entries)


class Counting(BackendWrapper):
    """Knows how many operations are under way; none ends before `full` of them are, or all have begun."""

    def __init__(self, inner: BlobBackend, full: int) -> None:
        super().__init__(inner)
        self.most = self._now = 0
        self._barrier = asyncio.Barrier(full)

    async def around(self, operation: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self._barrier.wait()
            return await call()
        finally:
            self._now -= 1


async def test_as_many_operations_run_as_allowed_and_no_more(tmp_path: Path) -> None:
    counting = Counting(LocalBackend(tmp_path), full=3)
    backend = BoundedBackend(counting, 3)
    async with asyncio.timeout(30):
        await asyncio.gather(*[backend.put(f"ab/{number}", b"content") for number in range(12)])
    assert counting.most == 3


def test_what_is_opened_is_bounded_and_retried(tmp_path: Path) -> None:
    observed = open_backend(tmp_path, BlobSettings(max_parallel=3))
    assert isinstance(observed, ObservedBackend)
    backend = observed.inner
    assert isinstance(backend, RetryingBackend)
    assert isinstance(backend.inner, BoundedBackend)
    assert isinstance(backend.inner.inner, LocalBackend)


async def test_waiting_for_a_retry_takes_nobodys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FailingBackend(LocalBackend(tmp_path))
    backend = RetryingBackend(BoundedBackend(failing, 1), 60)
    waiting, go_on = asyncio.Event(), asyncio.Event()

    async def wait(*_: Any) -> None:
        waiting.set()
        await go_on.wait()

    monkeypatch.setattr(asyncio, "sleep", wait)
    failing.fail("put", BlobUnavailable("lost"))
    failed = asyncio.create_task(backend.put("ab/failed", b"content"))
    async with asyncio.timeout(30):
        await waiting.wait()
        await backend.put("ab/other", b"content")
        go_on.set()
        await failed
    assert [key for key, _ in await listed(backend)] == ["ab/failed", "ab/other"]
