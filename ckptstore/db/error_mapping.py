"""Translates a driver's errors to ckptstore's: which are transient, which are permanent, and the message of each."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ckptstore.db.secrets import masked
from ckptstore.db.sqlstates import fault_of, sqlstate_of
from ckptstore.db.url import why_unwritable
from ckptstore.errors import CkptStoreError, DatabaseCorrupt, DatabaseUnavailable, SchemaOutOfDate, StatementRefused, StoreMoved

#: What the triggers of a sealed store say, before the new location.
MOVED = "ckptstore moved: "
_MISSING_SCHEMA_SQLSTATES = ("42P01", "42703", "3F000")
# What asyncpg raises on a connection that was closed, before asyncpg itself has noticed, and when no server of several is the primary.
_LOST_CLASSES = (
    "InternalClientError",
    "ConnectionDoesNotExistError",
    "ConnectionNotEstablishedError",
    "TargetServerAttributeNotMatched",
)
_LOST_MESSAGES = (
    "connection is closed",
    "connection was closed",
    "connection does not exist",
    "server closed the connection",
    "connection lost",
    "ended the connection",
)
# What a driver says of a connection that the server is ending, while it reads the server's last message, before it notices itself.
_ENDING_MESSAGES = ("another operation", "another command is already in progress")
_ENDED = "the server ended the connection"
# PgBouncer's, where a connection begins with more than it knows.
_REFUSED_BY_POOLER = "unsupported startup parameter"

# Of both drivers, where a certificate should be verified.
_NO_AUTHORITY = "root certificate file"
# What psycopg says of a connection without a SQLSTATE, although a server was reached, or none was tried.
_ANSWERED = ("FATAL:", "certificate verify failed", "connection is bad: invalid ", "definition of service")

# What SQLite and Python's module say about cells that no statement of ours can have written.
_DAMAGED_MESSAGES = ("Could not decode to UTF-8", "malformed JSON", "malformed database schema")
# Data and indexes that the server finds damaged.
_DAMAGED_SQLSTATES = ("XX001", "XX002")
# PostgreSQL's errors about stored JSON of another shape than any writer gives it. What is sent to it always has the right one.
_WRONG_JSON_MESSAGES = ("cannot extract elements from", "cannot deconstruct", "cannot call json_", "invalid input syntax for type json")
# What SQLAlchemy 2.0 puts before the message of an error of asyncpg.
_CLASS_OF_ERROR = re.compile(r"^<class '[\w.]+'>: ")


class ConnectionLost(Exception):
    """The connection was lost during a statement, which may have been executed or not; `__cause__` is the driver's error."""


class LockHeld(Exception):
    """Another transaction held a lock for as long as a statement waited for it."""

    #: When the upgrade began that may hold it; None if none is under way.
    upgrade_since: str | None = None


class ServerSilent(Exception):
    """The server sent nothing for so many seconds, and the connection was discarded."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the server sent nothing for {seconds:g} s")
        self.seconds = seconds


# Python's sqlite3 decodes SQLite's messages, which may repeat a damaged text.
_DRIVER_ERRORS = (ConnectionLost, ServerSilent, DBAPIError, PoolTimeout, sqlite3.Error, OSError, UnicodeDecodeError)


def translate(exc: Exception, url: URL, hide_secrets: Callable[[str], str] = str) -> CkptStoreError:
    """The error to raise, `from exc`, in place of a driver's error.

    Only the first line of the driver's message is repeated, through `hide_secrets`: further lines may contain a row's values.
    """
    if isinstance(exc, CkptStoreError):
        return exc
    where = masked(url)
    if isinstance(exc, PoolTimeout):
        return DatabaseUnavailable(f"{where}: timed out waiting for a connection of the pool; raise pool_size, or look for slow statements")
    if isinstance(exc, ServerSilent):
        hint = "if its statements or locks take that long, raise attempt_seconds"
        return DatabaseUnavailable(f"{where}: {exc}, and the connection was discarded; is it reachable? {hint}")
    origin = _origin(exc)
    message = _ENDED if is_ending(origin) else hide_secrets(_CLASS_OF_ERROR.sub("", str(origin).strip().partition("\n")[0]))
    _, is_moved, to = message.partition(MOVED)
    if is_moved:
        return StoreMoved(f"the threads of {where} have moved to {to}; open a saver there (ckptstore move --unseal takes it back)", to)
    if sqlstate_of(origin) in _MISSING_SCHEMA_SQLSTATES or message.startswith(("no such table", "no such column")):
        return SchemaOutOfDate(
            f"{where} has no tables of ckptstore, or old ones ({message}); run: ckptstore upgrade (or await saver.setup())"
        )
    if sqlstate_of(origin) in _DAMAGED_SQLSTATES or message.startswith(_WRONG_JSON_MESSAGES):
        return DatabaseCorrupt(f"{where} has damaged or altered data ({message}); restore a backup")
    if isinstance(origin, UnicodeDecodeError):
        return DatabaseCorrupt(f"{where} is damaged: a text in it is no UTF-8; restore a backup")
    if isinstance(origin, sqlite3.Error):
        return _from_sqlite(origin, message, url)
    return _from_server(exc, origin, f"{where}: {message or type(origin).__name__}")


def _from_server(exc: Exception, origin: BaseException, message: str) -> CkptStoreError:
    if _REFUSED_BY_POOLER in message:
        way_out = "remove it from the URL or from connect_args, or name it in ignore_startup_parameters of pgbouncer"
        return DatabaseUnavailable(f"{message}; a pooler is between, and refuses this parameter: {way_out}", transient=False)
    fault = fault_of(origin)
    if fault is not None:
        return DatabaseUnavailable(f"{message}; {fault.way_out}" if fault.way_out else message, transient=fault.transient)
    lost = isinstance(exc, ConnectionLost) or (isinstance(exc, DBAPIError) and exc.connection_invalidated)
    if lost or type(origin).__name__ in _LOST_CLASSES or any(part in message for part in _LOST_MESSAGES):
        return DatabaseUnavailable(message)
    if _NO_AUTHORITY in message:
        way_out = "add sslrootcert=/path/of/the/authority.crt to the URL, or sslrootcert=system for the authorities of this machine"
        return DatabaseUnavailable(f"{message}; {way_out}", transient=False)
    if isinstance(origin, OSError) or type(origin).__name__ in ("OperationalError", "ConnectionTimeout"):
        answered = any(part in message for part in _ANSWERED)
        return DatabaseUnavailable(message if answered else f"{message}; is the server running and the address right?")
    return StatementRefused(message)


def is_ending(exc: BaseException) -> bool:
    """Whether a driver's error means that its connection is being ended, and can't be used any more."""
    return type(exc).__module__.startswith(("asyncpg.", "psycopg", "sqlalchemy.")) and any(each in str(exc) for each in _ENDING_MESSAGES)


def is_driver_error(exc: BaseException) -> bool:
    """Whether an error came from the database or the connection to it, rather than from our own code."""
    # A number that is beyond 64 bits, such as a sum of altered ones: PostgreSQL's drivers have errors of their own for it.
    too_large = isinstance(exc, OverflowError) and "SQLite" in str(exc)
    known = too_large or isinstance(exc, _DRIVER_ERRORS) or hasattr(exc, "sqlstate")
    return known or type(exc).__module__.startswith(("asyncpg.", "psycopg."))


def _origin(exc: Exception) -> BaseException:
    """The driver's own error."""
    if isinstance(exc, ConnectionLost):
        return exc.__cause__ or exc
    return exc.orig if isinstance(exc, DBAPIError) and exc.orig is not None else exc


def _from_sqlite(origin: sqlite3.Error, message: str, url: URL) -> CkptStoreError:
    name = getattr(origin, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or "locked" in message:
        return DatabaseUnavailable(f"{url.database}: another process held the write lock too long ({message})")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")) or "unable to open" in message:
        return DatabaseUnavailable(f"can't write the SQLite file {url.database}: {why_unwritable(url) or message}", transient=False)
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or message.startswith(_DAMAGED_MESSAGES):
        # Python's message about a text that is no UTF-8 contains the text.
        shown = "a text in it is no UTF-8" if message.startswith("Could not decode") else message
        return DatabaseCorrupt(
            f"the SQLite file {url.database} is damaged ({shown}); find out more with averify(deep=True), restore a backup"
        )
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return DatabaseUnavailable(f"SQLite can't use the file {url.database}: {message}", transient=False)
    return StatementRefused(f"{url.database or ':memory:'}: {message}")
