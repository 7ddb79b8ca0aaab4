"""What is uploaded and downloaded is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.blobs.backends.observed import ObservedBackend
from ckptstore.blobs.backends.protocol import BlobBackend
from ckptstore.errors import BlobMissing
from ckptstore.monitoring.monitor import Monitor
from ckptstore.testing import BlobBackendConformance
from tests.support.blob_backends import ENOUGH, KEY


class TestObserved(BlobBackendConformance):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> BlobBackend:
        return ObservedBackend(LocalBackend(tmp_path / "blobs"), Monitor())


async def test_objects_and_bytes_are_counted(tmp_path: Path) -> None:
    monitor = Monitor()
    backend = ObservedBackend(LocalBackend(tmp_path / "blobs"), monitor)
    (tmp_path / "source").write_bytes(b"from a file")
    await backend.put(KEY, b"content")
    await backend.put_file("ab/file", tmp_path / "source")
    await backend.get(KEY, ENOUGH)
    await backend.get_file("ab/file", tmp_path / "target", ENOUGH)
    with pytest.raises(BlobMissing):
        await backend.get("ab/nothing", ENOUGH)
    stats = monitor.since_start()
    assert (stats.upload.count, stats.bytes_uploaded) == (2, 18)
    assert (stats.download.count, stats.bytes_downloaded) == (2, 18)
