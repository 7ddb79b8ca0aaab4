"""Objects in a file system that fsspec has, here the memory of the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.testing import BlobBackendConformance
from tests.support.blob_backends import ENOUGH, KEY, listed, numbers


class TestMemory(BlobBackendConformance):
    stores_outside_process = False

    @pytest.fixture
    async def backend(self) -> AsyncIterator[BlobBackend]:
        backend = open_backend(f"memory://tests/{next(numbers)}")
        yield backend
        await backend.close()


async def test_the_memory_of_a_process_is_shared_by_its_backends(tmp_path: Path) -> None:
    prefix = f"memory://shared/{next(numbers)}"
    first, second, other = open_backend(prefix), open_backend(prefix), open_backend(f"{prefix}-other")
    await first.put(KEY, b"content")
    await first.close()
    assert await second.get(KEY, ENOUGH) == b"content"
    assert await listed(other) == []
