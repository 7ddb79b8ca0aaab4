"""What the commands have in common: where the database and its blobs are, and errors as words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import URL

from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.open import open_database
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import BLOB_URL_VARIABLE, DATABASE_URL_VARIABLE, default_blob_url, is_memory, parse_database_url
from ckptstore.errors import CkptStoreError
from ckptstore.store.store import Store
from ckptstore.tags.keys import TagKeys

Command = TypeVar("Command", bound=Callable[..., Any])

_url = click.option("--url", envvar=DATABASE_URL_VARIABLE, required=True, help=f"The database; by default ${DATABASE_URL_VARIABLE}.")
_schema = click.option("--schema", "in_schema", default=None, help="The PostgreSQL schema that holds the tables.")
_blob_url = click.option(
    "--blob-url",
    envvar=BLOB_URL_VARIABLE,
    default=None,
    help=f"The blobs; by default ${BLOB_URL_VARIABLE}, or the folder beside a SQLite file.",
)


def wall_clock() -> int:
    """The current time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


def of_database(command: Command) -> Command:
    """The options that say where the tables are."""
    return _url(_schema(command))


def of_store(command: Command) -> Command:
    """The options that say where the tables and the blobs are."""
    return of_database(_blob_url(command))


def parsed(url: str) -> URL:
    """The database's URL; one that can't be used is said in words."""
    with words_for_errors():
        return parse_database_url(url)


def existing(url: str) -> URL:
    """The database's URL; a SQLite file that is not there is said, where SQLite would make an empty one."""
    found = parsed(url)
    if found.get_backend_name() == "sqlite" and not is_memory(found) and not Path(str(found.database)).exists():
        raise click.ClickException(f"there is no database {found.database}; correct --url, or make one: ckptstore upgrade --url ...")
    return found


@contextmanager
def words_for_errors() -> Iterator[None]:
    """Say an error in a line, where Python would print a traceback."""
    try:
        yield
    except (CkptStoreError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc


@contextmanager
def opened_store(url: str, in_schema: str | None, blob_url: str | None, tag_keys: TagKeys | None = None) -> Iterator[Store]:
    """A store on a database that is there.

    Args:
        url: the database.
        in_schema: the PostgreSQL schema of the tables.
        blob_url: where its blobs are; by default beside a SQLite file.
        tag_keys: for commands that make tags.
    """
    found = existing(url)
    with words_for_errors():
        settings = DatabaseSettings()
        runner = open_database(found, settings, in_schema)
        place = blob_url or default_blob_url(runner.url)
        store = Store(runner, settings, blobs=place, blob_settings=BlobSettings(), upgrade=False, tag_keys=tag_keys)
        try:
            yield store
        finally:
            store.close()
