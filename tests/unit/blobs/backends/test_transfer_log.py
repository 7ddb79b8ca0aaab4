"""What is logged of transfers."""

from __future__ import annotations

import logging
from pathlib import Path

import fsspec
import pytest

from ckptstore.blobs.backends.open import open_backend
from tests.support.blob_backends import ENOUGH, KEY, PlainFiles, numbers


async def test_operations_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for backend in (open_backend(tmp_path / "blobs"), open_backend(f"memory://logged/{next(numbers)}")):
        caplog.clear()
        with caplog.at_level(logging.DEBUG, "ckptstore.blobs"):
            await backend.put(KEY, b"content")
            await backend.get(KEY, ENOUGH)
            await backend.delete(KEY)
        events = [(r.levelname, r.__dict__["event"], r.__dict__["key"], r.__dict__["bytes"]) for r in caplog.records]
        assert events == [("INFO", "blob_put", KEY, 7), ("DEBUG", "blob_get", KEY, 7), ("DEBUG", "blob_deleted", KEY, 0)]
        assert all(r.__dict__["seconds"] >= 0 for r in caplog.records)


async def test_bytes_of_files_are_logged_where_the_file_system_reports_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fsspec.register_implementation("plainfiles", PlainFiles, clobber=True)
    backend = open_backend(f"plainfiles://{tmp_path}/blobs")
    await backend.put("ab/source", b"content")
    with caplog.at_level(logging.DEBUG, "ckptstore.blobs"):
        await backend.put_file(KEY, tmp_path / "blobs" / "ab" / "source")
        await backend.get_file(KEY, tmp_path / "target", ENOUGH)
    assert [(r.__dict__["event"], r.__dict__["bytes"]) for r in caplog.records] == [("blob_put", 7), ("blob_get", 7)]
