"""Keeps passwords out of messages: those in a URL, in the arguments of a driver, and in a driver's messages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

# `passfile` and `sslkey` name files.
_SECRET_NAME = re.compile(r"(password|passwd|passphrase|secret|token)$", re.IGNORECASE)
_MASK = "***"


def is_secret(name: str) -> bool:
    """Whether a parameter of a URL or of a driver holds a secret, by its name."""
    return _SECRET_NAME.search(name) is not None


def masked(url: URL) -> str:
    """A database URL as text, without its password and without the secrets in its query."""
    query = {name: _MASK if is_secret(name) else value for name, value in url.query.items()}
    # SQLAlchemy writes a `*` of the query as `%2A`.
    return url.set(query=query).render_as_string(hide_password=True).replace(_MASK.replace("*", "%2A"), _MASK)


class Secrets:
    """The secrets of one database, to be taken out of its driver's messages.

    Args:
        url: of the database. The names of the user and of the database are no secrets, even if the password is the same.
        connect_args: what the driver is given in addition.
    """

    def __init__(self, url: URL, connect_args: Mapping[str, Any]) -> None:
        found = {url.password or "", *_texts(url.query), *_texts(connect_args)}
        # The longest first: one may be a part of another.
        self._found = sorted(found - {"", url.username, url.database}, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text with `***` in place of each secret."""
        for secret in self._found:
            text = text.replace(secret, _MASK)
        return text

    def cause(self, exc: BaseException) -> BaseException | None:
        """The error to chain: None if its text, or that of its own cause, shows a secret.

        A server that can't be reached is what the driver says, without the hundred lines from where it says so.
        """
        origin = exc.__cause__ or exc
        shown = f"{exc} {origin}"
        if self.hide(shown) != shown:
            return None
        if isinstance(exc, OSError) or (isinstance(exc, DBAPIError) and exc.statement is None):
            origin.__traceback__ = origin.__cause__ = origin.__context__ = None
            return origin
        return exc


def _texts(named: Mapping[str, Any]) -> Iterator[str]:
    for name, value in named.items():
        if is_secret(name):
            yield from (str(part) for part in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(part, (str, bytes)))
