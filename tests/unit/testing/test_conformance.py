"""The conformance suite of backends fails for a backend that breaks its contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.testing import BlobBackendConformance


class Shortening(LocalBackend):
    async def get(self, key: str, max_bytes: int) -> bytes:
        return (await super().get(key, max_bytes))[:-1]


class KeepingView(LocalBackend):
    """Puts what the caller's buffer holds only when it is read."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.views: dict[str, bytes | memoryview] = {}

    async def put(self, key: str, data: bytes | memoryview) -> None:
        self.views[key] = data

    async def get(self, key: str, max_bytes: int) -> bytes:
        return bytes(self.views[key])


async def test_bytes_that_are_not_those_that_were_stored_are_noticed(tmp_path: Path) -> None:
    suite = BlobBackendConformance()
    with pytest.raises(AssertionError):
        await suite.test_reads_return_what_was_stored(Shortening(tmp_path))
    await suite.test_reads_return_what_was_stored(LocalBackend(tmp_path))


async def test_a_backend_that_keeps_the_callers_buffer_is_noticed(tmp_path: Path) -> None:
    suite = BlobBackendConformance()
    with pytest.raises(AssertionError):
        await suite.test_changing_the_callers_buffer_later_does_not_change_the_object(KeepingView(tmp_path))
    await suite.test_changing_the_callers_buffer_later_does_not_change_the_object(LocalBackend(tmp_path))
