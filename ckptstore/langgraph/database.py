"""The databases of a saver: an asynchronous engine, or the URL that `from_conn_string` was given; and where it may move."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import URL, Engine

from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner
from ckptstore.db.secrets import masked
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidEngine
from ckptstore.monitoring.monitor import Monitor
from ckptstore.store.store import Store

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine


@dataclass(frozen=True, slots=True, repr=False)
class OwnDatabase:
    """A database that the saver opens itself. `from_conn_string` passes it to the constructor in place of an engine."""

    url: URL

    def __repr__(self) -> str:
        """Its URL without secrets."""
        return f"{type(self).__name__}({masked(self.url)})"


def parse_conn_string(conn_string: str | os.PathLike[str] | URL, settings: DatabaseSettings | None = None) -> OwnDatabase:
    """The database that a connection string names.

    Args:
        conn_string: see `SQLAlchemySaver.from_conn_string`.
        settings: what is asked of a driver.

    Raises:
        InvalidEngine: it is not text, a path or a URL.
        InvalidUrl: the scheme is unknown, or the URL can't be read.
        MissingDriver: no driver for this database is installed.
    """
    if isinstance(conn_string, URL):
        conn_string = conn_string.render_as_string(hide_password=False)
    if not isinstance(conn_string, (str, os.PathLike)):
        raise InvalidEngine(f"from_conn_string takes a path or a URL, got {_kind(conn_string)}; {_instead_of_url(conn_string)}")
    return OwnDatabase(parse_database_url(conn_string, prepares=getattr(settings, "prepared_statements", True)))


def open_runner(engine: AsyncEngine | OwnDatabase, settings: DatabaseSettings, schema: str | None, monitor: Monitor) -> Runner:
    """The database behind the constructor's first argument. Connects at first use.

    Raises:
        InvalidEngine: it is neither an asynchronous engine nor an `OwnDatabase`.
        InvalidConfig: the database can't have a schema of this name.
    """
    if isinstance(engine, OwnDatabase):
        return open_database(engine.url, settings, schema, monitor)
    if not _is_async_engine(engine):
        raise InvalidEngine(f"SQLAlchemySaver takes an AsyncEngine, got {_kind(engine)}; {_instead_of_engine(engine)}")
    from ckptstore.db.adopted_engine import adopt_engine

    return adopt_engine(engine, settings, schema, monitor)


def store_kind(
    moved_to: str | os.PathLike[str] | URL | None, blob_url: str | os.PathLike[str] | None, settings: DatabaseSettings
) -> Callable[..., Store]:
    """What makes the store of a saver, with the arguments of `StoreBase`.

    Args:
        moved_to: see `SaverOptions`, and so is `blob_url`.
        blob_url: as it was given.
        settings: what is asked of a driver.

    Raises:
        InvalidUrl: `moved_to` can't be read.
        MissingDriver: no driver for it is installed.
    """
    if moved_to is None:
        return Store
    # Loaded at its first use, like all that copies threads: most processes never do.
    from ckptstore.transfer.following import FollowingStore, NewDatabase

    blobs = None if blob_url is None else os.fspath(blob_url)
    return partial(FollowingStore, new_database=NewDatabase(parse_conn_string(moved_to, settings).url, blobs))


def _is_async_engine(given: object) -> bool:
    # Imported here: it loads SQLAlchemy's ORM, which a caller with such an engine has loaded already.
    from sqlalchemy.ext.asyncio import AsyncEngine

    return isinstance(given, AsyncEngine)


def _kind(given: object) -> str:
    """The type of an argument, never its value, which may hold a password."""
    if given is None:
        return "None"
    kind = type(given)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _instead_of_url(given: object) -> str:
    if _is_async_engine(given):
        return "pass an engine to the constructor: SQLAlchemySaver(engine)"
    if isinstance(given, Engine):
        return "pass engine.url, or an engine from sqlalchemy.ext.asyncio.create_async_engine to the constructor"
    return "give text such as 'checkpoints.sqlite' or 'postgresql://user@host/database'"


def _instead_of_engine(given: object) -> str:
    if given is None or isinstance(given, (str, os.PathLike, URL)):
        return "for a path or a URL use SQLAlchemySaver.from_conn_string(url)"
    if isinstance(given, Engine):
        return "create it with sqlalchemy.ext.asyncio.create_async_engine, or use SQLAlchemySaver.from_conn_string(engine.url)"
    return (
        "the saver opens its own connections: use SQLAlchemySaver.from_conn_string(url), "
        "or pass an engine from sqlalchemy.ext.asyncio.create_async_engine"
    )
