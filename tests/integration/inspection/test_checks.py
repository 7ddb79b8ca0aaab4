"""Whether a store can be used."""

from __future__ import annotations

import os
import shutil
from glob import glob
from pathlib import Path

import psycopg
import pytest

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.blobs.backends.local import LocalBackend
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.times import to_microseconds
from ckptstore.db.url import parse_database_url
from ckptstore.errors import BlobUnavailable
from ckptstore.inspection.checks import Finding, Status, check_database, check_store
from ckptstore.maintenance.reindex import begin_rebuilding
from ckptstore.runtime.steps import drive_async
from tests.support.build import chain, config, put
from tests.support.databases import url_of

HOUR = 3_600_000_000


async def checked(
    saver: SQLAlchemySaver, ahead: int = 0, tag_keys: TagKeys | None = None, *, write_blob: bool = False
) -> dict[str, Finding]:
    def clock() -> int:
        return to_microseconds(saver.clock()) + ahead

    return {of.name: of for of in await drive_async(check_store(saver.store, tag_keys, clock, write_blob=write_blob))}


async def test_nothing_is_wrong_with_a_store_in_use(saver: SQLAlchemySaver) -> None:
    await put(saver, config("t"), {"file": bytes(70_000)})
    found = await checked(saver, tag_keys=TagKeys(), write_blob=True)
    assert {of.status for of in found.values()} == {Status.OK}
    assert found.keys() == {"tag keys", "permissions", "blobs", "clock"}


async def test_other_tag_keys_and_a_rebuild_that_never_ended(saver: SQLAlchemySaver) -> None:
    other = (await checked(saver, tag_keys=TagKeys(exclude=("trace",))))["tag keys"]
    assert (other.status, other.message) == (
        Status.FAILED,
        "the index has all keys, and given are all keys, without trace: such savers refuse to start",
    )
    saver.store.runner.write(begin_rebuilding).result()
    unfinished = (await checked(saver))["tag keys"]
    assert (unfinished.status, "is being rebuilt" in unfinished.message) == (Status.FAILED, True)


async def test_clocks_that_differ_are_a_warning(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 1)
    found = await checked(saver, ahead=-HOUR)
    assert found["clock of writers"].status is Status.WARNING
    assert "stored 3" in found["clock of writers"].message
    if not saver.store.runner.statements.on_sqlite:
        assert found["clock"].status is Status.WARNING
        assert "3600.0 s ahead of this machine's" in found["clock"].message
        assert "behind" in (await checked(saver, ahead=HOUR))["clock"].message


@pytest.fixture
async def with_blobs(sqlite_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for size in (70_000, 80_000):
            await put(saver, config("t"), {"file": bytes(size)})
    return sqlite_url


async def blobs(url: str, blob_url: str | None = None, *, write_blob: bool = False) -> Finding:
    async with SQLAlchemySaver.from_conn_string(url, blob_url=blob_url) as saver:
        return (await checked(saver, write_blob=write_blob))["blobs"]


async def test_blobs_elsewhere_missing_or_unwritable(with_blobs: str, tmp_path: Path) -> None:
    assert "has the newest 2 blobs" in (await blobs(with_blobs)).message
    elsewhere = await blobs(with_blobs, str(tmp_path / "elsewhere"))
    assert (elsewhere.status, "blobs relocate" in elsewhere.message) == (Status.FAILED, True)
    folder = f"{with_blobs}.blobs"
    os.unlink(glob(f"{folder}/??/*")[0])
    some = await blobs(with_blobs)
    assert (some.status, "1 of the newest 2 blobs are missing" in some.message) == (Status.FAILED, True)
    shutil.rmtree(folder)
    lost = await blobs(with_blobs)
    assert (lost.status, "none of the newest 2 blobs" in lost.message) == (Status.FAILED, True)
    os.mknod(folder)
    unwritable = await blobs(with_blobs, write_blob=True)
    assert unwritable.status is Status.FAILED


async def test_a_backend_that_does_not_answer(with_blobs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise BlobUnavailable("the bucket refused: AccessDenied", transient=False)

    for name in ("size", "put"):
        with monkeypatch.context() as patch:
            patch.setattr(LocalBackend, name, fail)
            found = await blobs(with_blobs, write_blob=True)
        assert (found.status, found.message) == (Status.FAILED, "the bucket refused: AccessDenied")


def opened(url: str) -> list[Finding]:
    runner = open_database(parse_database_url(url), DatabaseSettings())
    try:
        return check_database(runner)
    finally:
        runner.close()


async def test_a_database_without_schema_or_out_of_reach(lasting_url: str, tmp_path: Path) -> None:
    assert [(of.name, of.status) for of in opened(lasting_url)] == [("database", Status.OK), ("schema", Status.OK)]
    (tmp_path / "empty.sqlite").touch()
    [found] = opened(str(tmp_path / "empty.sqlite"))
    assert (found.name, found.status, "ckptstore upgrade" in found.message) == ("schema", Status.FAILED, True)
    [found] = opened("postgresql+psycopg://nobody@127.0.0.1:1/x")
    assert (found.name, found.status) == ("database", Status.FAILED)


async def test_a_user_without_privileges_is_told_which(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> None:
    url_of("asyncpg", request, tmp_path)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    url = postgres_url.replace("postgresql://postgres:@", "postgresql+asyncpg://reader@")
    try:
        async with SQLAlchemySaver.from_conn_string(url) as saver:
            found = (await checked(saver))["permissions"]
    finally:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM reader")
            connection.execute("DROP ROLE reader")
    assert found.status is Status.FAILED
    assert "the user may not DELETE, INSERT, UPDATE in ckpt_write" in found.message
    assert "SELECT" not in found.message
