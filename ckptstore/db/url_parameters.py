"""The parameters of a PostgreSQL URL, as providers of databases write them.

Each one reaches a driver that takes it, is replaced by what it means here, or is refused with what to write instead: none is dropped
silently. asyncpg takes few of libpq's parameters, psycopg all of them.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import URL

from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import InvalidUrl, MissingDriver

logger = logging.getLogger(__name__)

#: Says that a pooler in transaction mode is between: Prisma's, which Supabase and others print.
POOLER = "pgbouncer"

# asyncpg names some settings differently from libpq. Users copy the names of either.
_LIBPQ_TO_ASYNCPG = {"sslmode": "ssl", "connect_timeout": "timeout"}
_ASYNCPG_TO_LIBPQ = {ours: theirs for theirs, ours in _LIBPQ_TO_ASYNCPG.items()}
SERVER_SETTINGS = ("application_name", "options")
# Those that it takes as text, as they are in a URL.
_ASYNCPG = {
    "host", "port", "user", "database", "passfile", "ssl", "timeout", "command_timeout", "prepared_statement_cache_size",
    "target_session_attrs", "krbsrvname", "gsslib", *SERVER_SETTINGS,
}  # fmt: skip
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# What other tools' URLs hold, and where it is said here.
_ELSEWHERE = {
    "schema": "pass schema=... (on the command line --schema)",
    "currentSchema": "pass schema=... (on the command line --schema)",
    "search_path": "pass schema=... (on the command line --schema)",
    "connection_limit": "pass settings=DatabaseSettings(pool_size=...)",
    "pool_timeout": "pass settings=DatabaseSettings(attempt_seconds=...)",
    "statement_cache_size": "write pgbouncer=true if a pooler in transaction mode is between",
    "max_cached_statement_lifetime": "pass settings=DatabaseSettings(connect_args=...) and a postgresql+asyncpg:// URL",
    "direct_tls": "write sslnegotiation=direct",
}
_MAY_REPEAT = ("host", "port")
# Notes of providers and tools to themselves.
_MEANINGLESS = ("supa", "uselibpqcompat", "sslaccept", "socket_timeout", "workaround")


def driver_for(url: URL, *, prepares: bool = True) -> str:
    """The driver for a URL that names none: asyncpg, or psycopg where only that is installed or asyncpg can't do what is asked.

    Args:
        url: with the parameters of its query.
        prepares: False if no statement may be prepared.

    Raises:
        MissingDriver: none that can do it is installed.
    """
    parameter = next(iter(_foreign_to_asyncpg(url.query)), POOLER if POOLER in url.query else None)
    only_psycopg = parameter is not None or not prepares
    if _is_installed("asyncpg") and not only_psycopg:
        return "asyncpg"
    if _is_installed("psycopg"):
        if _is_installed("asyncpg"):
            lacks = "always prepares statements" if parameter is None else f"has no parameter {parameter}"
            logger.info("psycopg is used: asyncpg %s", lacks, extra={"event": "driver_chosen", "parameter": parameter})
        return "psycopg"
    if _is_installed("asyncpg"):
        asked = "prepared_statements=False" if parameter is None else f"the URL parameter {parameter!r}"
        raise MissingDriver(f"{asked} needs the driver psycopg: pip install 'psycopg[binary]', or remove it")
    raise MissingDriver("PostgreSQL needs a driver: pip install 'ckptstore[postgres]'")


def with_known_parameters(url: URL) -> URL:
    """A URL of asyncpg or psycopg, with the parameters that the driver takes and those that `behind_pooler` reads.

    Raises:
        InvalidUrl: a parameter is another tool's, none of the driver's, or has a value that it can't have; the message has what to
            write instead.
    """
    without = [name for name in _MEANINGLESS if name in url.query]
    for name in without:
        logger.info("the URL parameter %s means nothing here", name, extra={"event": "url_parameter_ignored", "parameter": name})
    url = url.difference_update_query(without)
    _check_values(url.query)
    if url.drivername == "postgresql+asyncpg":
        foreign = _foreign_to_asyncpg(url.query)
        if foreign or POOLER in url.query:
            name = (foreign or [POOLER])[0]
            _refuse(name, f"asyncpg has no URL parameter {name!r}; remove it, or use postgresql+psycopg://, which takes libpq's")
        return url.set(query={_LIBPQ_TO_ASYNCPG.get(name, name): value for name, value in url.query.items()})
    url = url.set(query={_ASYNCPG_TO_LIBPQ.get(name, name): value for name, value in url.query.items()})
    for name in sorted(url.query.keys() - _libpq() - {POOLER}):
        _refuse(name, f"libpq has no URL parameter {name!r}; remove it, or write it as options=-c%20NAME%3DVALUE if it is the server's")
    return url


def _check_values(query: Mapping[str, Any]) -> None:
    """Refuse what a driver would fail at with an error that does not name the URL."""
    for name, value in query.items():
        asked = _LIBPQ_TO_ASYNCPG.get(name, name)
        if not isinstance(value, str):
            if name not in _MAY_REPEAT:
                raise InvalidUrl(f"the URL parameter {name!r} is given {len(value)} times; keep one")
        elif asked == "ssl" and value not in _SSL_MODES:
            raise InvalidUrl(f"the URL parameter {name!r} is one of {', '.join(_SSL_MODES)}; for ssl=true write sslmode=require")
        elif asked == "timeout" and not value.lstrip("-").replace(".", "", 1).isdigit():
            raise InvalidUrl(f"the URL parameter {name!r} is a number of seconds, not {value!r}")


def _refuse(name: str, otherwise: str) -> None:
    if name in _ELSEWHERE:
        raise InvalidUrl(f"{name!r} is no parameter of a PostgreSQL URL here: remove it, and {_ELSEWHERE[name]}")
    raise InvalidUrl(otherwise)


def _foreign_to_asyncpg(query: Mapping[str, Any]) -> list[str]:
    """The parameters that asyncpg does not take, but for those that mean nothing to any driver."""
    return sorted(name for name in query if _LIBPQ_TO_ASYNCPG.get(name, name) not in _ASYNCPG and name not in (POOLER, *_MEANINGLESS))


def _libpq() -> Collection[str]:
    # Asked of the library itself: each release adds some.
    from psycopg import pq

    return {option.keyword.decode() for option in pq.Conninfo.get_defaults()}


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def behind_pooler(url: URL, settings: DatabaseSettings) -> tuple[URL, DatabaseSettings]:
    """The URL without `pgbouncer=true`, and the settings that this asks for: no statement outlives its transaction.

    Raises:
        InvalidUrl: the parameter has another value than true or false.
    """
    given = url.query.get(POOLER)
    if given is None:
        return url, settings
    if given not in ("true", "false"):
        raise InvalidUrl(f"the URL parameter {POOLER!r} is true or false, not {given!r}")
    url = url.difference_update_query([POOLER])
    return url, replace(settings, prepared_statements=False) if given == "true" else settings
