"""A database remembers where its blobs are: nobody collects them elsewhere, and whoever looks elsewhere is told."""

from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.db.connection import Db
from ckptstore.db.times import to_microseconds
from ckptstore.errors import BlobMissing, BlobUrlChanged
from ckptstore.maintenance.prune_callbacks import NO_CALLBACKS
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.steps import drive_async
from tests.support.build import config, put
from tests.support.collector import CONTENT, NO_GRACE, SharedStore, elsewhere, leave_garbage
from tests.support.databases import url_of
from tests.support.rows import Rows
from tests.support.s3 import S3Server
from tests.support.values import read


@pytest.fixture
def postgres(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of("asyncpg", request, tmp_path)


def remembered(saver: SQLAlchemySaver) -> str | None:
    for row in Rows.of(saver).tables["ckpt_setting"]:
        if row["name"] == "blob_url":
            value = json.loads(row["value"]) if isinstance(row["value"], str) else row["value"]
            return str(value["url"])
    return None


def forget(saver: SQLAlchemySaver) -> None:
    """Make the database one from before there was the setting."""

    def work(db: Db) -> None:
        db.connection.exec_driver_sql("DELETE FROM ckpt_setting WHERE name = 'blob_url'")

    saver.store.runner.write(work).result()


def objects_in(saver: SQLAlchemySaver) -> dict[str, str]:
    return {row["key"]: row["state"] for row in Rows.of(saver).tables["ckpt_object"]}


async def test_the_first_upload_is_remembered_and_its_secrets_are_not(lasting_url: str, s3: S3Server, bucket: str) -> None:
    secret = {"key": "testing", "secret": "SECRET-4711"}
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=s3.bucket_url(bucket), blob_options=secret) as saver:
        await put(saver, config("t"), {"small": 1})
        assert remembered(saver) is None
        await put(saver, config("t"), {"file": CONTENT})
        assert remembered(saver) == f"s3://{bucket}/blobs?endpoint_url={s3.url}"


async def test_an_upload_that_failed_is_not_remembered(lasting_url: str, s3: S3Server) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url, blob_url=s3.bucket_url("nowhere")) as saver:
        with pytest.raises(Exception, match="no bucket"):
            await put(saver, config("t"), {"file": CONTENT})
        assert remembered(saver) is None


async def test_a_saver_that_looks_elsewhere_is_warned_at_open_and_may_not_collect(
    shared: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_garbage(shared)
    async with elsewhere(shared) as saver:
        with caplog.at_level(logging.WARNING, "ckptstore"):
            assert await saver.aget_tuple(config("absent")) is None
        (record,) = caplog.records
        assert record.__dict__["event"] == "blobs_elsewhere"
        for text in (str(shared.folder), "elsewhere", "ckptstore blobs copy --from", "ckptstore blobs relocate"):
            assert text in record.getMessage()
        before = objects_in(saver)
        for _ in range(3):
            with pytest.raises(BlobUrlChanged, match="relocate"):
                await saver.acollect(grace=NO_GRACE)
        assert objects_in(saver) == before
        with pytest.raises(BlobMissing) as missing:
            await read(saver)
        assert str(shared.folder) in str(missing.value)
        assert str(saver.store.objects.backend.url) in str(missing.value)
    async with shared.saver() as saver:
        for _ in range(3):
            await saver.acollect(grace=NO_GRACE)
        assert len(shared.objects()) == 1
        assert await read(saver) == {"file": CONTENT}


async def test_a_saver_without_a_blob_url_may_not_collect_and_learns_where_blobs_are(postgres: str, tmp_path: Path) -> None:
    shared = SharedStore(postgres, tmp_path / "blobs")
    await leave_garbage(shared)
    async with SQLAlchemySaver.from_conn_string(shared.url) as saver:
        with pytest.raises(BlobUrlChanged, match=str(shared.folder)):
            await saver.acollect(grace=NO_GRACE)
        with pytest.raises(BlobMissing, match=str(shared.folder)):
            await read(saver)


async def test_what_never_had_blobs_is_collected_without_a_blob_url(url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(url) as saver:
        await put(saver, config("t"), {"small": 1})
        report = await saver.acollect(grace=NO_GRACE)
        assert (report.marked, report.deleted) == (0, 0)


async def test_of_two_processes_the_first_upload_decides(shared: SharedStore, caplog: pytest.LogCaptureFixture) -> None:
    async with shared.saver() as first, elsewhere(shared) as second:
        for saver in (first, second):
            assert await saver.aget_tuple(config("absent")) is None
        await put(first, config("a"), {"file": os.urandom(70_000)})
        with caplog.at_level(logging.WARNING, "ckptstore"):
            await put(second, config("b"), {"file": os.urandom(70_000)})
        assert [record.__dict__["event"] for record in caplog.records] == ["blobs_elsewhere"]
        assert remembered(second) == remembered(first)
        with pytest.raises(BlobUrlChanged):
            await second.acollect(grace=NO_GRACE)


async def test_an_old_database_is_collected_only_where_its_blobs_are(shared: SharedStore) -> None:
    await leave_garbage(shared)
    async with elsewhere(shared) as saver:
        forget(saver)
        with pytest.raises(BlobUrlChanged, match="none of the newest blobs"):
            await saver.acollect(grace=NO_GRACE)
        # Nor does an upload decide, where other blobs are elsewhere.
        await put(saver, config("new"), {"small": 1})
        assert remembered(saver) is None
    async with shared.saver() as saver:
        await saver.acollect(grace=NO_GRACE)
        assert remembered(saver) is not None
        await saver.acollect(grace=NO_GRACE)
        assert len(shared.objects()) == 1


@pytest.mark.parametrize("wrong", ["", "elsewhere"])
@pytest.mark.parametrize("name", ["collect", "prune", "prune in a dry run"])
async def test_the_command_line_refuses_before_it_prunes(postgres: str, tmp_path: Path, name: str, wrong: str) -> None:
    shared = SharedStore(postgres, tmp_path / "blobs")
    await leave_garbage(shared)
    arguments = {"collect": ["blobs", "collect"], "prune": ["prune", "--older-than", "0"]}.get(
        name, ["prune", "--older-than", "0", "--dry-run"]
    )
    blob_url = ["--blob-url", str(tmp_path / wrong)] if wrong else []
    done = CliRunner().invoke(main, [*arguments, "--url", shared.url, *blob_url])
    assert done.exit_code == 1
    assert str(shared.folder) in done.output
    assert "Traceback" not in done.output
    async with shared.saver() as saver:
        assert await read(saver) == {"file": CONTENT}
    assert CliRunner().invoke(main, [*arguments, "--url", shared.url, "--blob-url", str(shared.folder)]).exit_code == 0


async def test_verify_reports_that_it_looked_elsewhere(shared: SharedStore, tmp_path: Path) -> None:
    await leave_garbage(shared)
    done = CliRunner().invoke(main, ["blobs", "verify", "--url", shared.url, "--blob-url", str(tmp_path / "elsewhere")])
    assert done.exit_code == 1
    assert f"the blobs of this database are at file://{shared.folder}" in done.output


async def test_retention_in_the_background_prunes_on_and_logs_that_it_may_not_collect(
    shared: SharedStore, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_garbage(shared)
    async with elsewhere(shared) as saver:
        with caplog.at_level(logging.ERROR, "ckptstore.maintenance"):
            policy = RetentionPolicy(max_age=timedelta(0))
            await drive_async(run_maintenance(saver.store, policy, lambda: to_microseconds(shared.clock()), NO_CALLBACKS))
        assert [record.__dict__["event"] for record in caplog.records] == ["not_collected"]
        assert await saver.aget_tuple(config("t")) is None


async def test_a_sqlite_file_is_moved_with_its_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before, after = tmp_path / "a.sqlite", tmp_path / "moved" / "b.sqlite"
    async with SQLAlchemySaver.from_conn_string(before) as saver:
        await put(saver, config("t"), {"file": CONTENT})
    after.parent.mkdir()
    os.rename(before, after)
    os.rename(f"{before}.blobs", f"{after}.blobs")
    with caplog.at_level(logging.WARNING, "ckptstore"):
        async with SQLAlchemySaver.from_conn_string(after) as saver:
            assert await read(saver) == {"file": CONTENT}
            await saver.acollect(grace=NO_GRACE)
    assert caplog.records == []
