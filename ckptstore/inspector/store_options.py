"""The options that name a store to a command of ckptstore, for a shell: pages give commands that can be pasted."""

from __future__ import annotations

import os
import shlex
from typing import Final

from sqlalchemy import URL

from ckptstore.blobs.location import normalised
from ckptstore.db.secrets import masked
from ckptstore.db.url import DATABASE_URL_VARIABLE, default_blob_url, sqlite_path

#: Stands for a URL with a secret, which no page shows.
FROM_ENVIRONMENT: Final = f'--url "${DATABASE_URL_VARIABLE}"'


def store_options(url: URL, schema: str | None, blob_url: str | None) -> str:
    """The options, without a secret.

    Args:
        url: of the database.
        schema: the PostgreSQL schema of its tables, if one was given.
        blob_url: where its blobs are, without secrets; None if it has no backend.
    """
    parts = [_url_option(url)]
    if schema:
        parts.append(f"--schema {shlex.quote(schema)}")
    if blob_url is not None and blob_url != _default_location(url):
        parts.append(f"--blob-url {shlex.quote(blob_url)}")
    return " ".join(parts)


def _url_option(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        # Whole: in another folder, a relative path is another store's.
        return f"--url {shlex.quote(os.path.abspath(sqlite_path(url)))}"
    plain = url.set(drivername=url.get_backend_name())
    shown = masked(plain)
    return f"--url {shlex.quote(shown)}" if shown == plain.render_as_string(hide_password=False) else FROM_ENVIRONMENT


def _default_location(url: URL) -> str | None:
    """Where a command looks for the blobs if it is not told."""
    folder = default_blob_url(url)
    return None if folder is None else normalised(f"file://{os.path.abspath(folder)}")
