"""What the commands share: the options for the database and its blobs, opening a store, and errors without a traceback."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from sqlalchemy import URL

from ckptstore.blobs.settings import BlobSettings
from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import BLOB_URL_VARIABLE, DATABASE_URL_VARIABLE, default_blob_url, is_memory, parse_database_url
from ckptstore.errors import CkptStoreError
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.store.store import Store
from ckptstore.tags.keys import TagKeys

#: The shells' exit code of an interrupted command.
EXIT_INTERRUPTED = 130

Command = TypeVar("Command", bound=Callable[..., Any])

_url = click.option("--url", envvar=DATABASE_URL_VARIABLE, required=True, show_envvar=True, help="The database URL.")
_schema = click.option("--schema", "in_schema", default=None, help="The PostgreSQL schema of the tables.")
_blob_url = click.option(
    "--blob-url",
    envvar=BLOB_URL_VARIABLE,
    default=None,
    help=f"The URL of the blobs; by default ${BLOB_URL_VARIABLE}, or the folder next to a SQLite file.",
)


def database_options(command: Command) -> Command:
    """Add --url and --schema to a command."""
    return _url(_schema(command))


def store_options(command: Command) -> Command:
    """Add --url, --schema and --blob-url to a command."""
    return database_options(_blob_url(command))


def wall_clock() -> int:
    """The current time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


@contextmanager
def errors_as_messages() -> Iterator[None]:
    """Print an error of ckptstore or of the operating system as one line, without a traceback, and exit with 1."""
    try:
        yield
    except (CkptStoreError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM end a run after its current transaction: they set the event."""
    interrupted = threading.Event()
    previous = {number: signal.signal(number, lambda *_: interrupted.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def parse_url(url: str) -> URL:
    """Parse a database URL; exits with a message if it is invalid."""
    with errors_as_messages():
        return parse_database_url(url)


def existing_database(url: str) -> URL:
    """Parse the URL of a database that must exist; exits with a message for a missing SQLite file, which SQLite would create."""
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not is_memory(parsed) and not Path(str(parsed.database)).exists():
        raise click.ClickException(f"database {parsed.database} does not exist; correct --url, or create it: ckptstore upgrade --url ...")
    return parsed


@contextmanager
def open_store(url: str, in_schema: str | None, blob_url: str | None, tag_keys: TagKeys | None = None) -> Iterator[Store]:
    """Open a store on an existing database; errors inside the block are printed without a traceback.

    Args:
        url: the database.
        in_schema: the PostgreSQL schema of the tables.
        blob_url: the blobs; by default the folder next to a SQLite file.
        tag_keys: which metadata keys are indexed, for commands that write tags.
    """
    database_url = existing_database(url)
    with errors_as_messages():
        runner = open_database(database_url, DatabaseSettings(), in_schema)
        with store_on(runner, lambda: blob_url or default_blob_url(runner.url), tag_keys=tag_keys) as store:
            yield store


@contextmanager
def store_on(
    runner: Runner, find_blobs: Callable[[], str | None], *, upgrade: bool = False, tag_keys: TagKeys | None = None
) -> Iterator[Store]:
    """A store on a database, which is closed with it.

    Args:
        runner: the database.
        find_blobs: gives the URL of the blobs.
        upgrade: whether the schema is upgraded if it is too old.
        tag_keys: which metadata keys are indexed.
    """
    try:
        store = Store(
            runner,
            DatabaseSettings(),
            blobs=find_blobs(),
            blob_settings=BlobSettings(),
            upgrade=upgrade,
            tag_keys=tag_keys,
            state_format=LANGGRAPH,
        )
    except BaseException:
        runner.close()
        raise
    try:
        yield store
    finally:
        store.close()


def json_filter(text: str) -> Any:
    """The JSON of a metadata filter; a usage error if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise click.BadParameter(f'it is no JSON ({exc}); write a metadata filter such as \'{{"user_id": "ann"}}\'') from exc
