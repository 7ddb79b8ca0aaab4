"""The options that name a store to a command."""

from __future__ import annotations

import os
import shlex

import pytest
from sqlalchemy import make_url

from ckptstore.inspector.store_options import FROM_ENVIRONMENT, store_options


def test_a_file_is_named_whole() -> None:
    found = shlex.split(store_options(make_url("sqlite+aiosqlite:///it's a $HOME.sqlite"), None, None))
    assert found == ["--url", os.path.abspath("it's a $HOME.sqlite")]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+asyncpg://ann@db/shop", "--url postgresql://ann@db/shop"),
        ("postgresql+psycopg://ann@db/shop?sslmode=require&x=1", "--url 'postgresql://ann@db/shop?sslmode=require&x=1'"),
        ("postgresql+asyncpg://ann:s3cret@db/shop", FROM_ENVIRONMENT),
        ("postgresql+asyncpg://db/shop?user=ann&password=s3cret", FROM_ENVIRONMENT),
    ],
)
def test_a_secret_is_left_to_the_environment(url: str, shown: str) -> None:
    assert store_options(make_url(url), None, None) == shown


def test_schemas_and_blobs_are_named_where_they_are_not_the_usual() -> None:
    file, server = make_url("sqlite:////data/a.sqlite"), make_url("postgresql://db/shop")
    assert store_options(file, None, f"file://{os.path.realpath('/data/a.sqlite.blobs')}") == "--url /data/a.sqlite"
    assert store_options(file, None, "s3://bucket/a") == "--url /data/a.sqlite --blob-url s3://bucket/a"
    assert store_options(server, "the agents", None) == "--url postgresql://db/shop --schema 'the agents'"
    assert store_options(server, None, "s3://bucket/a").endswith(" --blob-url s3://bucket/a")
