"""A hint for those who point a saver at another saver's database, and would see none of its threads."""

from __future__ import annotations

import logging
import shlex

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.secrets import masked
from ckptstore.records import StateFormat

logger = logging.getLogger(__name__)


def hint_at_import(db: Db, state_format: StateFormat) -> None:
    """Log the command that imports, if the database has another saver's tables and none of our threads."""
    if has_threads(db):
        return
    wanted = dict.fromkeys(state_format.other_savers_tables[db.dialect_name])
    found = db.run(sql.threads.tables_among, {**db.key_parameters(("name",), [(name,) for name in wanted]), "schema": db.statements.schema})
    if len(found.all()) == len(wanted):
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


def has_threads(db: Db) -> bool:
    """Whether any thread is stored."""
    return bool(db.run(sql.threads.threads_after, {"after": "", "page_size": 1}).all())
