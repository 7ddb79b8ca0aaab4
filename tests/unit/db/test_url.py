"""Every way to write a database URL, and those that can't work."""

from __future__ import annotations

import re

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from ckptstore.errors import (
    InvalidUrl,
    MissingDriver,
)


@pytest.mark.parametrize(
    ("conn_string", "says"),
    [
        ("mysql://u:secret@h/db", "unknown URL scheme 'mysql'"),
        ("postgresql+psycopg2://u:secret@h/db", "write postgresql+psycopg://"),
        ("", "empty"),
        ("a\0b", "NUL"),
        ("postgresql://u:secret@h:port/db", "can't be read as a URL"),
        ("postgresql+asyncpg://u:secret@h/db?keepalives=1", "no URL parameter 'keepalives'"),
    ],
)
def test_a_url_that_can_not_be_used(conn_string: str, says: str) -> None:
    with pytest.raises(InvalidUrl, match=re.escape(says)) as caught:
        SQLAlchemySaver.from_conn_string(conn_string)
    assert "secret" not in str(caught.value)


def test_a_missing_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for conn_string in ("postgresql://h/db", "postgresql+asyncpg://h/db", "postgresql+psycopg://h/db"):
        with pytest.raises(MissingDriver, match=r"pip install 'ckptstore\[postgres\]'"):
            SQLAlchemySaver.from_conn_string(conn_string)


@pytest.mark.parametrize(
    ("written", "drivername", "database"),
    [
        (":memory:", "sqlite+aiosqlite", None),
        ("sqlite://", "sqlite+aiosqlite", None),
        ("sqlite:///:memory:", "sqlite+aiosqlite", None),
        ("some/file.db", "sqlite+aiosqlite", "some/file.db"),
        ("sqlite:///some/file.db", "sqlite+aiosqlite", "some/file.db"),
        ("sqlite+aiosqlite:////abs/file.db", "sqlite+aiosqlite", "/abs/file.db"),
        ("postgres://h/db", "postgresql+asyncpg", "db"),
        ("postgresql://h/db", "postgresql+asyncpg", "db"),
        ("postgresql+psycopg://h/db", "postgresql+psycopg", "db"),
    ],
)
def test_every_documented_way_to_write_a_url(written: str, drivername: str, database: str | None) -> None:
    url = parse_database_url(written)
    assert (url.drivername, url.database) == (drivername, database)


def test_libpq_parameters_reach_asyncpg_by_its_own_names() -> None:
    assert parse_database_url("postgresql://h/db?sslmode=require").query == {"ssl": "require"}
