"""What looks like a server's address never becomes a SQLite file with a password in its name."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidUrl

REFUSED = {
    "host=h dbname=db user=me password=hunter2": "keyword=value",
    "dbname = db password = hunter2": "keyword=value",
    "PASSWORD=hunter2": "keyword=value",
    "PGPASSWORD=hunter2 psql": "keyword=value",
    "Server=h;Pwd=hunter2": "keyword=value",
    "application_name=x sslpassword=hunter2": "keyword=value",
    "postgresql:/me:hunter2@h/db": "begins with 'postgresql'",
    "postgresql:me:hunter2@h/db": "begins with 'postgresql'",
    "postgres//me:hunter2@h/db": "begins with 'postgres'",
    "postgresql+asyncpg:/me:hunter2@h/db": "begins with 'postgresql'",
    "jdbc:postgresql:hunter2": "begins with 'postgresql'",
    "mysql:/me:hunter2@h/db": "begins with 'mysql'",
    "sqlite:/folder/c.sqlite": "sqlite:///folder",
    "sqlite:c.sqlite": "sqlite:///folder",
    "file:c.sqlite?mode=ro": "sqlite:///folder",
    " postgresql:/me:hunter2@h/db": "begins with 'postgresql'",
    "me:hunter2@h/db": "without a scheme",
    "me:hunter2@h:5432": "without a scheme",
    "sqlite://c.sqlite": "two slashes are one too few",
    "sqlite+aiosqlite://folder/c.sqlite": "two slashes are one too few",
    "postgresql://me:hun@ter2@h/db": "write @ as %40",
    "postgresql://me/you:hunter2@h/db": "/ as %2F",
    "jdbc:postgresql://h/db?password=hunter2": "can't be read as a URL",
    " postgresql://me:hunter2@h/db": "can't be read as a URL",
    "postgresql ://me:hunter2@h/db": "can't be read as a URL",
}


@pytest.mark.parametrize(("written", "says"), REFUSED.items(), ids=REFUSED)
def test_it_is_refused_with_the_form_to_write(written: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidUrl, match=says.replace("+", r"\+")) as caught:
        SQLAlchemySaver.from_conn_string(written)
    shown = "".join(traceback.format_exception(caught.value))
    assert not [part for part in ("hunter2", "hun@", "ter2") if part in shown]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "path",
    [
        "c.sqlite",
        "/var/lib/app/c.sqlite",
        "C:/app/c.sqlite",
        r"C:\app\c.sqlite",
        "run:2026.sqlite",
        "user@example.org.sqlite",
        "./host=h",
        "data/postgres.sqlite",
        "postgres",
        "sqlite",
        "files/x:y@z",
    ],
)
def test_paths_are_still_paths(path: str) -> None:
    assert parse_database_url(path).database == path


def test_a_percent_encoded_password_reaches_the_driver() -> None:
    assert parse_database_url("postgresql://me:a%40b%2Fc%3Ad@h/db").password == "a@b/c:d"
