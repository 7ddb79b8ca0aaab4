"""SQL statements as pure functions: each builds a statement and runs nothing.

The first argument is always the dialect's name (`sqlite` or `postgresql`). Lists of keys are sent as one JSON array on SQLite and as
one array per column on PostgreSQL, so that the text of a statement never depends on how many keys there are.
"""

from ckptstore.db.sql import (
    batch_function,
    batch_parts,
    batch_postgres,
    batch_sqlite,
    checkpoints,
    checksums,
    copy,
    delete,
    insert,
    lookups,
    meetings,
    objects,
    pages,
    parameters,
    prune,
    reencrypt,
    seal,
    settings_table,
    tables,
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
    "checksums",
    "copy",
    "delete",
    "insert",
    "lookups",
    "meetings",
    "objects",
    "pages",
    "parameters",
    "prune",
    "reencrypt",
    "seal",
    "settings_table",
    "tables",
    "tag_keys",
    "threads",
    "transfer",
    "vacuum",
    "verify",
]
