"""Texts that look like the address of a server, but are no URL. Taken for a path, they would become a file with a password in its name."""

from __future__ import annotations

import re

from sqlalchemy import URL

from ckptstore.errors import InvalidUrl

_POSTGRES_FORM = "postgresql://user@host/database"
_SQLITE_FORM = "sqlite:///folder/file.sqlite, or the path alone"
# libpq's keywords that people write; a text that begins with one of them, or sets a password anywhere (also as PGPASSWORD), is no path.
_DSN = re.compile(
    r"\s*(host|hostaddr|port|dbname|user|password|passfile|service|sslmode|sslcert|sslkey|sslrootcert|sslpassword|options|"
    r"application_name|connect_timeout|client_encoding|target_session_attrs|channel_binding|gssencmode)\s*=|.*(password|\bpwd)\s*=",
    re.IGNORECASE | re.DOTALL,
)
# A scheme, perhaps with a driver, and what is left of `://`.
_ALMOST_URL = re.compile(
    r"\s*(?:jdbc:)?(?P<scheme>postgresql|postgres|sqlite|mysql|mariadb|mssql|oracle|cockroachdb|mongodb|redis|https?|s3|file)(\+\w*)?(:|//)",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"\s*[^/\\\s:@]*:[^/\\@]*@[^/\\]")


def refuse_lookalike(path: str) -> None:
    """Refuse a path that looks like a server's address. The message never repeats it.

    Raises:
        InvalidUrl: it looks like libpq's `keyword=value` form, a URL without `://`, or a user and a password.
    """
    almost = _ALMOST_URL.match(path)
    if almost is not None:
        scheme = almost["scheme"].lower()
        form = _POSTGRES_FORM if scheme.startswith("postgres") else _SQLITE_FORM
        raise InvalidUrl(f"the connection string begins with {scheme!r}, but is no URL that ckptstore knows; write {form}")
    if _DSN.match(path):
        raise InvalidUrl(f"the connection string looks like libpq's keyword=value form; write {_POSTGRES_FORM}, or ./ before a path")
    if _WITH_PASSWORD.match(path):
        raise InvalidUrl(f"the connection string looks like a user and a password without a scheme; write {_POSTGRES_FORM}")


def refuse_misread(url: URL) -> None:
    """Refuse a URL in which a part of the password, or the file, was read as something else.

    Raises:
        InvalidUrl: the message names the character that has to be percent-encoded.
    """
    if url.get_backend_name() == "sqlite":
        if url.host:
            raise InvalidUrl(f"a sqlite:// URL has no host: two slashes are one too few; write {_SQLITE_FORM}")
    elif "@" in (url.host or "") or re.search(r":[^@]*@", url.database or ""):
        raise InvalidUrl("the URL has an @ or a / in its user or its password; write @ as %40, / as %2F and : as %3A")
