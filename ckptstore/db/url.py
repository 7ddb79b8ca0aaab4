"""Database URLs: parsing, choice of the driver, and facts that follow from a URL."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ckptstore.db.hosts import with_hosts_in_query, with_listed_hosts
from ckptstore.db.lookalikes import refuse_lookalike, refuse_misread
from ckptstore.db.secrets import is_secret
from ckptstore.db.sqlite_url import sqlite_url
from ckptstore.db.url_parameters import SERVER_SETTINGS, driver_for, with_known_parameters
from ckptstore.errors import InvalidUrl, MissingDriver
from ckptstore.runtime.regular_files import is_encodable

DATABASE_URL_VARIABLE = "CKPTSTORE_DATABASE_URL"
BLOB_URL_VARIABLE = "CKPTSTORE_BLOB_URL"

_SCHEMES = (
    "a file path, :memory:, sqlite://, sqlite+aiosqlite://, postgresql://, postgres://, postgresql+asyncpg:// or postgresql+psycopg://"
)


def parse_database_url(conn_string: str | os.PathLike[str], *, prepares: bool = True) -> URL:
    """Parse a connection string into a URL that names the driver to use.

    Args:
        conn_string: a file path, `:memory:`, or a URL of one of the known schemes.
        prepares: False if no statement may be prepared, which decides for a driver.

    Returns:
        A URL whose drivername is `sqlite+aiosqlite`, `postgresql+asyncpg` or `postgresql+psycopg`.

    Raises:
        InvalidUrl: the scheme is unknown, or the URL can't be read.
        MissingDriver: no driver for this database is installed.
    """
    text = os.fspath(conn_string)
    if not isinstance(text, str) or not text.strip():
        raise InvalidUrl(f"the connection string is empty; give {_SCHEMES}")
    if not is_encodable(text):
        raise InvalidUrl("the connection string contains a NUL character, or half of a surrogate pair")
    if text == ":memory:":
        return URL.create("sqlite+aiosqlite")
    if "://" not in text:
        refuse_lookalike(text)
        return URL.create("sqlite+aiosqlite", database=text)
    try:
        url = make_url(with_hosts_in_query(text))
    except (ArgumentError, ValueError):
        # The text may contain a password, and what can't be parsed can't be masked: SQLAlchemy 2.0 repeats it in its message.
        raise InvalidUrl(f"the connection string can't be read as a URL; give {_SCHEMES}") from None
    refuse_misread(url)
    return _with_driver(url, prepares)


def _with_driver(url: URL, prepares: bool) -> URL:
    match url.drivername:
        case "sqlite" | "sqlite+aiosqlite" | "sqlite+pysqlite":
            return URL.create("sqlite+aiosqlite") if is_memory(url) else sqlite_url(url)
        case "postgresql" | "postgres":
            return _with_driver(url.set(drivername=f"postgresql+{driver_for(_with_password(url), prepares=prepares)}"), prepares)
        case "postgresql+asyncpg" | "postgresql+psycopg":
            _require(url.get_driver_name())
            return with_listed_hosts(with_known_parameters(_with_password(url)))
        case "postgresql+psycopg2" | "postgresql+pg8000" | "postgresql+psycopg_async" as other:
            raise InvalidUrl(f"{other}:// has another driver; write postgresql+psycopg:// (psycopg 3), or postgresql:// for the best one")
        case other:
            raise InvalidUrl(f"unknown URL scheme {other!r}; give {_SCHEMES}")


def _with_password(url: URL) -> URL:
    """A URL with the password of its query, which libpq takes too, where SQLAlchemy expects and masks it."""
    if "password" not in url.query:
        return url
    password = url.query["password"]
    return url.difference_update_query(["password"]).set(password=password if isinstance(password, str) else password[-1])


def _require(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise MissingDriver(f"PostgreSQL needs the driver {module}: pip install 'ckptstore[postgres]'")


def split_connect_args(url: URL) -> tuple[URL, dict[str, Any]]:
    """The URL without the parameters that the driver takes as keyword arguments, or that are secrets, and those arguments."""
    secrets = {name: value for name, value in url.query.items() if is_secret(name)}
    url = url.difference_update_query(list(secrets))
    if url.drivername != "postgresql+asyncpg":
        return url, dict(secrets)
    settings = {name: str(url.query[name]) for name in SERVER_SETTINGS if name in url.query}
    connect_args: dict[str, Any] = {"server_settings": settings} if settings else {}
    if "timeout" in url.query:
        seconds = float(str(url.query["timeout"]))
        connect_args["timeout"] = seconds if seconds > 0 else None  # As libpq means it: no limit, but for `attempt_seconds`.
    return url.difference_update_query([*SERVER_SETTINGS, "timeout"]), connect_args


def is_memory(url: URL) -> bool:
    """Whether the URL is that of a SQLite database in memory."""
    if url.get_backend_name() != "sqlite":
        return False
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url.database) or url.query.get("mode") == "memory"


def sqlite_path(url: URL) -> str:
    """The path of a SQLite file, which an engine of the caller's may name by a URI (`file:`)."""
    database = str(url.database)
    return unquote(urlsplit(database).path) if database.startswith("file:") else database


def default_blob_url(url: URL) -> str | None:
    """The blob URL if none is given: a folder next to the SQLite file. None stores large values in the database."""
    if url.get_backend_name() != "sqlite" or is_memory(url):
        return None
    return f"{sqlite_path(url)}.blobs"


def why_unwritable(url: URL) -> str | None:
    """The reason why SQLite can't write its file, for a message; None if no reason is found."""
    if is_memory(url) or url.get_backend_name() != "sqlite":
        return None
    path = Path(str(url.database))
    if path.is_dir():
        return f"{path} is a folder"
    if not path.parent.is_dir():
        return f"the folder {path.parent} does not exist"
    target = path if path.exists() else path.parent
    return None if os.access(target, os.W_OK) else f"{target} is not writable"
