"""Files in the database, where a store has no blob backend: stored once, bounded, collected, verified, copied, backed up."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ckptstore import BlobRef, SQLAlchemySaver
from ckptstore.blobs.backends.database import DatabaseBackend, RoutedBackend, is_in_database
from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.settings import BlobSettings
from ckptstore.errors import BlobCorrupt, BlobMissing, BlobUnavailable, CheckpointTooLarge
from tests.support.backups import restore, take
from tests.support.build import checkpoint, config, metadata
from tests.support.clocks import Clock
from tests.support.databases import empty_tables, url_of
from tests.support.rows import Rows
from tests.support.transfers import contents, sqlite_file, threads_of

FILE = bytes(range(256)) * 400
OTHER = FILE[::-1]
NO_GRACE = timedelta(0)


@pytest.fixture(params=["memory", "asyncpg", "psycopg"])
def bare(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A saver without a blob backend."""
    with SQLAlchemySaver.from_conn_string(url_of(request.param, request, tmp_path), clock=Clock()) as saver:
        saver.setup()
        yield saver


def keep(saver: SQLAlchemySaver, thread_id: str, value: Any) -> None:
    made = checkpoint({"file": value}, {"file": "00000001.x"})
    saver.put(config(thread_id), made, metadata(0), made["channel_versions"])


def stored(saver: SQLAlchemySaver) -> list[str]:
    """The keys of the objects in the database."""
    return sorted(row["key"] for row in Rows.of(saver).tables.get("ckpt_object_content", []))


def handle_in(saver: SQLAlchemySaver, thread_id: str) -> BlobRef:
    found = saver.get_tuple(config(thread_id))
    assert found is not None
    value: BlobRef = found.checkpoint["channel_values"]["file"]
    return value


def test_a_file_is_stored_once_and_comes_back(bare: SQLAlchemySaver, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(FILE)
    refs = [bare.blobs.put(source, media_type="a/b").result() for source in (FILE, path, io.BytesIO(FILE))]
    assert set(refs) == {refs[0]}
    assert len(stored(bare)) == 1
    keep(bare, "t", refs[0])
    assert bare.blobs.get(handle_in(bare, "t")).result() == FILE
    with bare.blobs.open(refs[0]).result() as opened:
        assert opened.read() == FILE
    assert bare.verify(deep=True).ok


def test_a_file_past_the_bound_is_refused_with_the_way_out(postgres_url: str) -> None:
    empty_tables(postgres_url)
    settings = BlobSettings(database_bytes=len(FILE))
    with SQLAlchemySaver.from_conn_string(postgres_url, blob_settings=settings) as saver:
        saver.blobs.put(FILE).result()
        with pytest.raises(CheckpointTooLarge, match=r"0\.1 MB exceeds the 0\.1 MB that are kept in a database; give the saver a blob_url"):
            saver.blobs.put(FILE + b"x").result()
        assert len(Rows.of(saver).tables["ckpt_object"]) == 1


def test_what_no_state_holds_is_collected(bare: SQLAlchemySaver) -> None:
    keep(bare, "t", bare.blobs.put(FILE).result())
    bare.blobs.put(OTHER).result()
    for _ in range(2):
        bare.collect(grace=NO_GRACE)
    assert len(stored(bare)) == 1
    assert bare.blobs.get(handle_in(bare, "t")).result() == FILE
    bare.delete_thread("t")
    for _ in range(2):
        bare.collect(grace=NO_GRACE)
    assert stored(bare) == []


def test_erasing_a_user_deletes_the_file_at_once(bare: SQLAlchemySaver) -> None:
    made = checkpoint({"file": bare.blobs.put(FILE).result()}, {"file": "00000001.x"})
    bare.put(config("t"), made, metadata(0, user_id="ann"), made["channel_versions"])
    report = bare.erase({"user_id": "ann"}, grace=NO_GRACE)
    assert (report.objects, report.objects_left) == (1, 0)
    assert stored(bare) == []


def test_verification_finds_a_lost_and_an_altered_file(bare: SQLAlchemySaver) -> None:
    keep(bare, "t", bare.blobs.put(FILE).result())
    (key,) = stored(bare)
    zeros = f"zeroblob({len(FILE)})" if on_sqlite(bare) else f"decode(repeat('00', {len(FILE)}), 'hex')"
    bare.store.runner.write(lambda db: db.execute(f"UPDATE ckpt_object_content SET content = {zeros}")).result()
    assert bare.verify(deep=True).corrupt == [key]
    bare.store.runner.write(lambda db: db.execute("DELETE FROM ckpt_object_content")).result()
    assert bare.verify().missing_objects == [key]
    # Stored again, under its key.
    bare.blobs.put(FILE).result()
    assert stored(bare) == [key]
    assert bare.verify(deep=True).ok


def on_sqlite(saver: SQLAlchemySaver) -> bool:
    return saver.store.runner.statements.on_sqlite


def test_a_saver_with_a_blob_url_reads_it_and_shares_it(postgres_url: str, tmp_path: Path) -> None:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(postgres_url) as before:
        keep(before, "t", before.blobs.put(FILE).result())
    with SQLAlchemySaver.from_conn_string(postgres_url, blob_url=tmp_path / "blobs") as saver:
        assert saver.blobs.get(handle_in(saver, "t")).result() == FILE
        saver.blobs.put(FILE).result()
        assert not (tmp_path / "blobs").exists()
        keep(saver, "u", saver.blobs.put(OTHER).result())
        assert saver.verify(deep=True).objects == 2
        saver.collect()
    # What is in the folder is out of reach without its URL; what is in the database is not.
    with SQLAlchemySaver.from_conn_string(postgres_url) as after:
        assert after.blobs.get(handle_in(after, "t")).result() == FILE
        with pytest.raises(BlobMissing, match="no blob_url"):
            after.blobs.get(handle_in(after, "u")).result()
        assert len(after.verify().broken_references) == 1


def test_copies_have_it(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> None:
    empty_tables(postgres_url)
    with (
        SQLAlchemySaver.from_conn_string(postgres_url) as one,
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "a.sqlite")) as other,
        SQLAlchemySaver.from_conn_string(":memory:") as third,
    ):
        keep(one, "t", one.blobs.put(FILE).result())
        one.copy_thread("t", "u")
        # A file has a folder, memory has not.
        assert one.copy_to(other).ok
        assert other.copy_to(third).ok
        for saver in (other, third):
            assert contents(saver) == contents(one)
            assert saver.blobs.get(handle_in(saver, "u")).result() == FILE
            assert saver.verify(deep=True).ok
        assert [len(stored(saver)) for saver in (one, other, third)] == [1, 0, 1]


def test_a_copy_does_not_bring_a_file_past_the_bound(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with (
        SQLAlchemySaver.from_conn_string(sqlite_file(request, tmp_path / "a.sqlite")) as one,
        SQLAlchemySaver.from_conn_string(":memory:", blob_settings=BlobSettings(database_bytes=1_000)) as other,
    ):
        keep(one, "large", one.blobs.put(FILE).result())
        keep(one, "small", one.blobs.put(b"small").result())
        assert "give the saver a blob_url" in one.copy_to(other).failed_threads["large"]
        assert threads_of(other) == ["small"]


@pytest.mark.parametrize("blobs", [False, True])
def test_a_backup_has_it(postgres_url: str, tmp_path: Path, blobs: bool) -> None:
    empty_tables(postgres_url)
    with SQLAlchemySaver.from_conn_string(postgres_url) as saver:
        keep(saver, "t", saver.blobs.put(FILE).result())
        loose = saver.blobs.put(OTHER).result()
    more = {"blob_url": tmp_path / "blobs"} if blobs else {}
    with SQLAlchemySaver.from_conn_string(postgres_url, **more) as saver:  # type: ignore[arg-type]
        if blobs:
            keep(saver, "v", saver.blobs.put(OTHER * 2).result())
        take(saver, tmp_path / "backups")
        expected = contents(saver)
        assert len(list((tmp_path / "blobs").rglob("*-*"))) == blobs
    target = str(tmp_path / "restored.sqlite")
    done = restore(tmp_path / "backups", target)
    assert done.exit_code == 0, done.output
    with SQLAlchemySaver.from_conn_string(target) as restored:
        assert contents(restored) == expected
        assert restored.blobs.get(handle_in(restored, "t")).result() == FILE
        assert restored.blobs.get(loose).result() == OTHER


@pytest.fixture(params=["memory", "asyncpg"])
def inside(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    url = url_of(request.param, request, tmp_path)
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.setup()
        yield DatabaseBackend(saver.store.runner)


async def test_the_backend_itself(inside: DatabaseBackend, tmp_path: Path) -> None:
    assert is_in_database("database/ab-cd")
    assert not is_in_database("db/database-1")
    await inside.put("database/a", b"abc")
    await inside.put("database/a", memoryview(b"abcd"))
    assert [tuple(entry) async for entry in inside.entries()] == [("database/a", 4)]
    assert await inside.size("database/a") == 4
    assert await inside.size("database/b") is None
    with pytest.raises(BlobCorrupt, match="has 4 bytes"):
        await inside.get("database/a", 3)
    with pytest.raises(BlobMissing):
        await inside.get_file("database/b", tmp_path / "b", 3)
    await inside.delete("database/a")
    await inside.delete("database/a")
    assert [entry async for entry in inside.entries()] == []


async def test_each_object_is_where_its_key_says(inside: DatabaseBackend, tmp_path: Path) -> None:
    outside = open_backend(tmp_path / "blobs")
    both, alone = RoutedBackend(inside, outside), RoutedBackend(inside, None)
    await both.put("database/a", b"in")
    await both.put("ab/a", b"out")
    assert (tmp_path / "blobs" / "ab" / "a").read_bytes() == b"out"
    assert [entry.key async for entry in both.entries()] == ["database/a", "ab/a"]
    assert (both.url, alone.url) == (outside.url, "the database")
    assert [await backend.size("ab/a") for backend in (both, alone)] == [3, None]
    with pytest.raises(BlobMissing, match="no blob_url"):
        await alone.get("ab/a", 3)
    with pytest.raises(BlobUnavailable, match="no blob_url"):
        await alone.delete("ab/a")


def test_a_large_file_passes_both_drivers(postgres_url: str) -> None:
    content = b"x" * BlobSettings().database_bytes
    for driver in ("asyncpg", "psycopg"):
        empty_tables(postgres_url)
        url = postgres_url.replace("postgresql:", f"postgresql+{driver}:")
        with SQLAlchemySaver.from_conn_string(url, blob_settings=BlobSettings(cache_bytes=0)) as saver:
            assert saver.blobs.get(saver.blobs.put(content).result()).result() == content
