"""SQL statements as pure functions: each builds a statement and runs nothing.

The first argument is always the dialect's name (`sqlite` or `postgresql`). Lists of keys are sent as one JSON array on SQLite and as
one array per column on PostgreSQL, so that the text of a statement never depends on how many keys there are.

Each module is loaded when it is first used: a process that puts and gets needs a third of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckptstore.db.sql import (
        batch_function,
        batch_parts,
        batch_postgres,
        batch_sqlite,
        checkpoints,
        checks,
        checksums,
        content,
        copy,
        delete,
        insert,
        leases,
        load,
        lookups,
        meetings,
        node_function,
        numbered_rows,
        objects,
        outline,
        pages,
        parameters,
        postings,
        prune,
        reencrypt,
        replication,
        seal,
        settings_table,
        stats,
        tables,
        tag_completion,
        tag_keys,
        threads,
        transfer,
        vacuum,
        verify,
    )

__all__ = [
    "batch_function",
    "batch_parts",
    "batch_postgres",
    "batch_sqlite",
    "checkpoints",
    "checks",
    "checksums",
    "content",
    "copy",
    "delete",
    "insert",
    "leases",
    "load",
    "lookups",
    "meetings",
    "node_function",
    "numbered_rows",
    "objects",
    "outline",
    "pages",
    "parameters",
    "postings",
    "prune",
    "reencrypt",
    "replication",
    "seal",
    "settings_table",
    "stats",
    "tables",
    "tag_completion",
    "tag_keys",
    "threads",
    "transfer",
    "vacuum",
    "verify",
]


def __getattr__(name: str) -> Any:
    """A module of statements, at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
