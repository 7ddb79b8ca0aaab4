"""Names of PostgreSQL schemas: which ones ckptstore takes."""

from __future__ import annotations

import re

from sqlalchemy import URL

from ckptstore.errors import InvalidConfig, brief

# PostgreSQL cuts a longer name off without an error: two tenants would share a schema.
_MAX_BYTES = 63
_READ_AS_PARAMETER = re.compile(r"%\(\w+\)s")


def check_schema_name(schema: str | None, url: URL) -> None:
    """Check the name of the schema that a saver is given.

    Args:
        schema: the name as PostgreSQL keeps it, in upper and lower case, without quotes; None for the connection's own schema.
        url: of the database.

    Raises:
        InvalidConfig: the database has no schemas, or can't have one of this name.
    """
    if schema is None:
        return
    reason = _why_refused(schema)
    if reason:
        shown = repr(schema) if isinstance(schema, str) else brief(schema)
        raise InvalidConfig(f"schema={shown} can't be the name of a PostgreSQL schema: {reason}; give None for the connection's own")
    if url.get_backend_name() == "sqlite":
        raise InvalidConfig("SQLite has no schemas; give each tenant a file of its own")


def _why_refused(schema: object) -> str | None:
    if not isinstance(schema, str):
        return f"it is of type {type(schema).__name__}"
    if not schema or "\0" in schema:
        return "it is empty or contains a NUL character"
    try:
        size = len(schema.encode())
    except UnicodeEncodeError:
        return "it contains a lone surrogate"
    if size > _MAX_BYTES:
        return f"it has {size} bytes, at most {_MAX_BYTES} are kept"
    if _READ_AS_PARAMETER.search(schema):
        return "it contains %(name)s, which SQLAlchemy 2.0 takes for a parameter"
    if schema.startswith("pg_") or schema == "information_schema":
        return "PostgreSQL reserves it"
    return None
