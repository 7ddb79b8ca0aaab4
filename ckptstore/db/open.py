"""Opening a database by its URL."""

from __future__ import annotations

from functools import partial

from sqlalchemy import URL

from ckptstore.db.runner import Runner
from ckptstore.db.schema_name import check_schema_name
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.sqlite import SqliteRunner
from ckptstore.db.sqlite_url import is_read_only
from ckptstore.db.url import is_memory
from ckptstore.db.url_parameters import behind_pooler
from ckptstore.monitoring.monitor import Monitor


def open_database(
    url: URL, settings: DatabaseSettings, schema: str | None = None, monitor: Monitor | None = None, *, read_only: bool = False
) -> Runner:
    """The database of a URL that `parse_database_url` made. Connects at first use.

    Args:
        url: which database.
        settings: how to talk to it.
        schema: the PostgreSQL schema of the tables, or None for the connection's own.
        monitor: counts what is done on it; by default a new one.
        read_only: open a SQLite file for reading only, as one that is not writable, or whose URL has `mode=ro`. On PostgreSQL,
            transactions are read-only, see `open_read_only`.

    Raises:
        InvalidConfig: the database can't have a schema of this name.
        InvalidUrl: `pgbouncer` in the URL is neither true nor false.
    """
    check_schema_name(schema, url)
    if url.get_backend_name() == "sqlite":
        reads_only = read_only or (not is_memory(url) and is_read_only(url))
        return SqliteRunner(url.set(query={}), settings, schema, monitor, read_only=reads_only)
    # Imported here: asynchronous engines load SQLAlchemy's ORM, and SQLite needs neither.
    from ckptstore.db.async_runner import AsyncRunner
    from ckptstore.db.postgres import postgres_engine

    url, settings = behind_pooler(url, settings)
    return AsyncRunner(url, settings, schema, monitor or Monitor(), partial(postgres_engine, url, settings))
