"""Blobs that were lost or truncated outside of ckptstore: the same content, put again, is stored again and heals all that refers to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobMissing
from tests.support.build import checkpoint, config, metadata, put
from tests.support.collector import CONTENT, NO_GRACE, SharedStore
from tests.support.s3 import S3Server
from tests.support.values import read


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def truncate(folder: Path) -> None:
    for path in folder.glob("*/*"):
        os.truncate(path, 100)


def lengthen(folder: Path) -> None:
    for path in folder.glob("*/*"):
        os.truncate(path, 1_000_000)


LOSSES: list[Callable[[Path], None]] = [remove_folder, truncate, lengthen]


async def again(saver: SQLAlchemySaver, thread_id: str, values: dict[str, Any], version: str) -> None:
    """Put values as new versions of a thread's channels."""
    made = checkpoint(values, dict.fromkeys(values, version))
    await saver.aput(config(thread_id), made, metadata(), made["channel_versions"])


@pytest.mark.parametrize("lose", LOSSES)
@pytest.mark.parametrize("thread_id", ["t", "another"])
async def test_content_put_again_after_its_loss_is_stored_and_heals_every_thread(
    shared: SharedStore, lose: Callable[[Path], None], thread_id: str
) -> None:
    values = {"file": CONTENT, "list": [*[f"line {number} " * 20 for number in range(300)], CONTENT]}
    async with shared.saver() as saver:
        await again(saver, "t", values, "1")
        await again(saver, "other", values, "1")
        before = shared.objects()
        lose(shared.folder)
        await again(saver, thread_id, values, "2")
        assert shared.objects() == before
    async with shared.saver() as saver:
        for each in {"t", "other", thread_id}:
            assert await read(saver, config(each)) == values
        assert (await saver.averify(deep=True)).ok


@pytest.mark.parametrize("lose", LOSSES)
async def test_another_process_restores_what_was_lost(shared: SharedStore, lose: Callable[[Path], None]) -> None:
    async with shared.saver() as first, shared.saver() as second:
        await put(first, config("a"), {"file": CONTENT})
        await put(second, config("b"), {"file": CONTENT})
        lose(shared.folder)
        await again(second, "b", {"file": CONTENT}, "2")
        await again(first, "a", {"file": CONTENT}, "2")
    async with shared.saver() as saver:
        assert [await read(saver, config(thread)) for thread in "ab"] == [{"file": CONTENT}] * 2
        assert len(shared.objects()) == 1


@pytest.mark.parametrize("lose", LOSSES)
async def test_a_blob_put_again_by_handle_is_restored_for_every_state_that_holds_it(
    shared: SharedStore, lose: Callable[[Path], None]
) -> None:
    async with shared.saver() as saver:
        ref = await saver.blobs.put(CONTENT)
        await put(saver, config("t"), {"document": ref})
        lose(shared.folder)
        assert await saver.blobs.put(CONTENT) == ref
    async with shared.saver() as saver:
        assert await saver.blobs.get((await read(saver))["document"]) == CONTENT
        assert (await saver.averify(deep=True)).ok


async def test_a_lost_object_that_is_being_deleted_gets_a_new_key(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await put(saver, config("t"), {"file": CONTENT})
        await saver.adelete_thread("t")
        (lost,) = shared.objects()
        remove_folder(shared.folder)
        # Whoever deletes it, also late, deletes nothing that is in use.
        saver.store.runner.write(lambda db: db.connection.exec_driver_sql("UPDATE ckpt_object SET state = 'deleting'").rowcount).result()
        await put(saver, config("t"), {"file": CONTENT})
        (stored,) = shared.objects()
        assert stored != lost
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        assert shared.objects() == [stored]
        assert await read(saver) == {"file": CONTENT}


async def test_a_restored_object_begins_a_new_grace_period(shared: SharedStore) -> None:
    async with shared.saver() as saver:
        await put(saver, config("t"), {"file": CONTENT})
        await saver.adelete_thread("t")
        await saver.acollect(grace=NO_GRACE)
        remove_folder(shared.folder)
        # Nothing refers to it yet: the collector marked it, and would sweep it now.
        await saver.blobs.put(CONTENT)
        report = await saver.acollect()
        assert (report.deleted, report.marked) == (0, 0)
        assert len(shared.objects()) == 1


@pytest.mark.parametrize(("recheck_seconds", "found"), [(0.0, True), (3_600.0, False)])
async def test_a_remote_object_is_looked_for_when_it_was_last_seen_too_long_ago(
    s3: S3Server, bucket: str, tmp_path: Path, recheck_seconds: float, found: bool
) -> None:
    url, blob_url = str(tmp_path / "checkpoints.sqlite"), s3.bucket_url(bucket)
    settings = BlobSettings(recheck_seconds=recheck_seconds)
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blob_url, blob_settings=settings) as saver:
        await put(saver, config("t"), {"file": CONTENT})
        s3.empty(bucket)
        s3.take_requests()
        await again(saver, "t", {"file": CONTENT}, "2")
        requests = s3.take_requests()
        assert (requests["HEAD"] > 0, requests["PUT"]) == (found, int(found))
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blob_url) as saver:
        if found:
            assert await read(saver) == {"file": CONTENT}
        else:
            with pytest.raises(BlobMissing):
                await read(saver)


async def test_a_local_object_that_is_there_costs_one_look_and_no_upload(shared: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    async with shared.saver() as saver:
        await put(saver, config("t"), {"file": CONTENT})
        looks: list[str] = []
        backend = saver.store.objects.backend
        size = backend.size

        async def counted(key: str) -> int | None:
            looks.append(key)
            return await size(key)

        monkeypatch.setattr(backend, "size", counted)
        objects = shared.objects()
        await again(saver, "t", {"file": CONTENT}, "2")
        assert looks == objects == shared.objects()
