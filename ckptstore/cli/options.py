"""What the commands have in common: where the database and its blobs are, and errors as words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import URL

from ckptstore.config import BLOB_URL_VARIABLE, DATABASE_URL_VARIABLE, is_memory, parse_database_url
from ckptstore.errors import CkptStoreError

Command = TypeVar("Command", bound=Callable[..., Any])

_url = click.option("--url", envvar=DATABASE_URL_VARIABLE, required=True, help=f"The database; by default ${DATABASE_URL_VARIABLE}.")
_schema = click.option("--schema", "in_schema", default=None, help="The PostgreSQL schema that holds the tables.")
_blob_url = click.option(
    "--blob-url",
    envvar=BLOB_URL_VARIABLE,
    default=None,
    help=f"The blobs; by default ${BLOB_URL_VARIABLE}, or the folder beside a SQLite file.",
)


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
