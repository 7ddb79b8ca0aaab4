"""The blobs of copied threads: kept, copied, or moved into the database."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
from tests.support.rows import Rows
from tests.support.transfers import contents, pair, sqlite_file, threads_of

# It can't be compressed: an object has it as it is.
FILE = random.Random(0).randbytes(76_800)


def put_file(saver: SQLAlchemySaver, thread_id: str = "t", *, by_handle: bool = False) -> None:
    value = saver.blobs.put(FILE).result() if by_handle else FILE
    made = checkpoint({"file": value}, {"file": "00000001.x"})
    saver.put(config(thread_id), made, metadata(0), made["channel_versions"])


def test_an_object_is_copied_once(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, other):
        put_file(one, "a")
        put_file(one, "b", by_handle=True)
        report = one.copy_to(other)
        assert (report.threads, report.objects, report.object_bytes) == (2, 1, len(FILE))
        shutil.rmtree(tmp_path / "source-blobs")
        found = other.get_tuple(config("b"))
        assert found is not None
        assert other.blobs.get(found.checkpoint["channel_values"]["file"]).result() == FILE
        assert other.verify(deep=True).ok


def test_without_blob_storage_values_go_into_the_database(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> None:
    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, _):
        put_file(one, "a")
        put_file(one, "b", by_handle=True)
        with SQLAlchemySaver.from_conn_string(postgres_url) as other:
            report = one.copy_to(other)
            assert report.ok
            assert contents(other) == contents(one)
            # The file that was stored by handle is one in the database, too.
            (key,) = Rows.of(other).referred_objects()
            assert key.startswith("database/")


def test_blobs_stay_where_both_stores_have_them(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    blobs = tmp_path / "blobs"
    with (
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "a.sqlite"), blob_url=blobs) as one,
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "b.sqlite"), blob_url=blobs) as other,
    ):
        put_file(one)
        assert one.copy_to(other, blobs="keep").objects == 0
        assert Rows.of(other).referred_objects() == Rows.of(one).referred_objects()
        assert contents(other) == contents(one)
        assert other.verify(deep=True).ok
        # Told to, it copies them within their folder.
        put_file(one, "u")
        assert one.copy_to(other, blobs="copy").objects == 0


def test_a_lost_or_altered_blob_fails_its_thread_alone(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, other):
        put_file(one, "a")
        one.put(config("b"), checkpoint({"n": 1}), metadata(0), {"n": f"{1:010}.{'0' * 12}"})
        (path,) = [each for each in (tmp_path / "source-blobs").rglob("*") if each.is_file()]
        path.write_bytes(b"x" * len(FILE))
        report = one.copy_to(other)
        assert "truncated or altered" in report.failed_threads["a"]
        path.unlink()
        assert "a" in one.copy_to(other).failed_threads
        assert threads_of(other) == ["b"]
        put_file(one, "c")
        assert one.copy_to(other).threads == 2
        assert contents(other) == contents(one)


def test_an_object_that_the_target_is_deleting_is_uploaded_again(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    from tests.support.checked_rows import run

    with pair(request, tmp_path, "sqlite", "asyncpg") as (one, other):
        put_file(other, "mine")
        run(other, "UPDATE ckpt_object SET state = 'deleting'")
        put_file(one, "a")
        assert one.copy_to(other).threads == 1
        assert contents(other, "a") == contents(one, "a")
