"""URLs of SQLite files, with the parameters of SQLite's own URIs: `?mode=ro`, `file:path?mode=ro&uri=true`.

Source: https://www.sqlite.org/uri.html
"""

from __future__ import annotations

import os
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy import URL

from ckptstore.errors import InvalidUrl

_READ_ONLY = {"mode": "ro"}
# What they would change stays as it is anyway.
_DEFAULTS = (("mode", "rwc"), ("cache", "private"), ("immutable", "0"), ("nolock", "0"))
_ELSEWHERE = {
    "timeout": "pass settings=DatabaseSettings(busy_timeout_seconds=...)",
    "isolation_level": "transactions are ckptstore's own",
    "check_same_thread": "connections are ckptstore's own",
}


def sqlite_url(url: URL) -> URL:
    """The URL of a SQLite file with its path as the database, and `mode=ro` as the only parameter that it may have.

    Raises:
        InvalidUrl: it has another parameter: none is ignored.
    """
    path, parameters = str(url.database), {name: str(value) for name, value in url.query.items() if name != "uri"}
    if path.startswith("file:"):
        parts = urlsplit(path)
        path, parameters = unquote(parts.path), parameters | dict(parse_qsl(parts.query))
    asked = {name: value for name, value in parameters.items() if (name, value) not in _DEFAULTS}
    # A file that nobody writes may be read without locks, too; ckptstore finds out itself whether that is needed.
    if asked.get("immutable") == "1":
        asked.pop("immutable")
        asked |= _READ_ONLY
    for name, value in asked.items():
        if _READ_ONLY.get(name) != value:
            way_out = _ELSEWHERE.get(name, "leave it out, or write ?mode=ro to read a file only")
            raise InvalidUrl(f"a SQLite URL can't have {name}={value}: {way_out}")
    return URL.create("sqlite+aiosqlite", database=path, query=asked)


def is_read_only(url: URL) -> bool:
    """Whether a SQLite file can only be read: its URL says so, or it, or its file system, is not writable."""
    path = str(url.database)
    return url.query.get("mode") == "ro" or (os.path.exists(path) and not os.access(path, os.W_OK))


def read_only_parameters(path: str) -> str:
    """The parameters with which SQLite opens a file for reading only, as text.

    A file in WAL mode needs its log beside it, even to be read. Where there is none, and none can be made, nobody can be writing:
    then it is read as one that does not change.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if os.access(folder, os.W_OK) or os.path.exists(f"{path}-wal"):
        return "mode=ro"
    return "mode=ro&immutable=1"
