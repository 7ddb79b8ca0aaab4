"""Which blob URLs name one place, and how a place is remembered."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from ckptstore.blobs.location import BlobLocation, from_portable, normalised, to_portable

POSTGRES = make_url("postgresql+asyncpg://user@host/database")


def sqlite(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))


def location(url: str | None, remembered: str | None) -> BlobLocation:
    found = BlobLocation(POSTGRES, url)
    found.remembered = remembered
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/prefix", "s3a://bucket/prefix/"),
        ("s3://bucket/prefix", "s3://bucket//prefix?region=eu-central-1&profile=mine"),
        ("s3://bucket/p?endpoint_url=http://host:9000", "s3://bucket/p?region=x&endpoint_url=http://host:9000/"),
        # The endpoint of one of them comes from the environment.
        ("s3://bucket/p?endpoint_url=http://host:9000", "s3://bucket/p"),
        ("gs://bucket/a/", "gs://bucket/a"),
    ],
)
def test_urls_that_name_one_place(one: str, other: str) -> None:
    assert not location(one, normalised(other)).is_elsewhere
    assert not location(other, normalised(one)).is_elsewhere


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("s3://bucket/prefix", "s3://bucket/other"),
        ("s3://bucket/prefix", "s3://bucket"),
        ("s3://bucket/prefix", "gs://bucket/prefix"),
        ("s3://bucket/p?endpoint_url=http://host:9000", "s3://bucket/p?endpoint_url=http://other:9000"),
        ("file:///a", "file:///b"),
    ],
)
def test_urls_that_name_two_places(one: str, other: str) -> None:
    assert location(one, normalised(other)).is_elsewhere
    assert location(None, normalised(other)).is_elsewhere
    assert other.partition("?")[0] in location(one, normalised(other)).explanation


def test_a_link_to_a_folder_is_that_folder(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "blobs")
    assert normalised(f"file://{tmp_path}/link") == normalised(f"file://{tmp_path}/blobs")


@pytest.mark.parametrize(("old", "new"), [("a.sqlite.blobs", "b.sqlite.blobs"), ("files/blobs", "files/blobs"), ("blobs", "blobs")])
def test_a_folder_next_to_a_sqlite_file_moves_with_it(tmp_path: Path, old: str, new: str) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    text = to_portable(normalised(f"file://{before / old}"), sqlite(before / "a.sqlite"))
    assert str(tmp_path) not in text
    assert from_portable(text, sqlite(after / "b.sqlite")) == normalised(f"file://{after / new}")


@pytest.mark.parametrize("url", ["file:///elsewhere/blobs", "s3://bucket/prefix", "memory://name"])
def test_another_place_is_remembered_as_it_is(tmp_path: Path, url: str) -> None:
    for database in (sqlite(tmp_path / "a.sqlite"), URL.create("sqlite+aiosqlite"), POSTGRES):
        assert from_portable(to_portable(url, database), database) == to_portable(url, database) == url
