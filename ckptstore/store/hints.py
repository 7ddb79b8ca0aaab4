"""A hint for those who point a saver at another saver's database, and would see none of its threads."""

from __future__ import annotations

import logging
import shlex

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.schema import current_revision, require_head
from ckptstore.db.secrets import masked
from ckptstore.errors import InvalidSource, SchemaOutOfDate
from ckptstore.records import StateFormat

logger = logging.getLogger(__name__)


def hint_at_import(db: Db, state_format: StateFormat) -> None:
    """Log the command that imports, if the database has another saver's tables and none of our threads."""
    # Threads last: on a cluster they are on all nodes, and a saver opens while one does not answer.
    if _has_other_saver(db, state_format) and not has_threads(db):
        url = shlex.quote(masked(db.connection.engine.url))
        schema = db.statements.schema
        both = f" --from-schema {shlex.quote(schema)} --to-schema {shlex.quote(schema)}" if schema else ""
        logger.warning(
            "this database has the tables of LangGraph's own saver, whose threads ckptstore does not see; bring them in: "
            "ckptstore import %s --to %s%s",
            url,
            url,
            both,
            extra={"event": "other_saver_found"},
        )


def require_store(db: Db, state_format: StateFormat) -> None:
    """Return if the database has the schema that this release needs: before threads of it are read.

    Raises:
        InvalidSource: it has another saver's tables, and none of ours; an upgrade would make empty ones.
        SchemaOutOfDate: see `schema.require_head`.
        SchemaTooNew: see `schema.require_head`.
    """
    try:
        require_head(db)
    except SchemaOutOfDate as exc:
        if current_revision(db) is not None or not _has_other_saver(db, state_format):
            raise
        where, schema = masked(db.connection.engine.url), db.statements.schema
        source = shlex.quote(where) + (f" --from-schema {shlex.quote(schema)}" if schema else "")
        raise InvalidSource(
            f"{where} has the tables of LangGraph's own saver, and none of ckptstore; bring its threads into a store of ckptstore: "
            f"ckptstore import {source} --to ..."
        ) from exc


def _has_other_saver(db: Db, state_format: StateFormat) -> bool:
    wanted = dict.fromkeys(state_format.other_savers_tables[db.dialect_name])
    found = db.run(sql.threads.tables_among, {**db.key_parameters(("name",), [(name,) for name in wanted]), "schema": db.statements.schema})
    return len(found.all()) == len(wanted)


def has_threads(db: Db) -> bool:
    """Whether any thread is stored."""
    return bool(db.run(sql.threads.threads_after, {"after": "", "page_size": 1}).all())
