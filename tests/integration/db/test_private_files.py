"""Whoever else works on the machine can't read what a saver stores on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ckptstore import BlobSettings, SQLAlchemySaver
from tests.support.build import config, put

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has access lists instead")


async def test_every_file_and_folder_of_a_store_is_private(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = tmp_path / "app"
        folder.mkdir()
        settings = BlobSettings(cache_folder=str(folder / "cache"))
        upload = os.urandom(200_000)
        async with SQLAlchemySaver.from_conn_string(folder / "c.sqlite", blob_settings=settings) as saver:
            await put(saver, config("t"), {"upload": upload})
        async with SQLAlchemySaver.from_conn_string(folder / "c.sqlite", blob_settings=settings) as saver:
            found = await saver.aget_tuple(config("t"))
            assert found is not None
            assert found.checkpoint["channel_values"]["upload"] == upload
            modes = {path.relative_to(folder): path.stat().st_mode & 0o777 for path in folder.rglob("*")}
            folders = {path for path in modes if (folder / path).is_dir()}
    finally:
        os.umask(before)
    assert {str(path) for path in modes} >= {"c.sqlite", "c.sqlite-wal", "c.sqlite-shm", "c.sqlite.blobs", "cache"}
    assert {modes[path] for path in folders} == {0o700}
    assert {mode for path, mode in modes.items() if path not in folders} == {0o600}


async def test_a_file_that_exists_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.touch()
    path.chmod(0o640)
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        await put(saver, config("t"))
    assert path.stat().st_mode & 0o777 == 0o640
