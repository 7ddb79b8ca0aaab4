"""Sealing a store whose threads have moved: every writer on it is refused with `StoreMoved`, whose message names the new database."""

from __future__ import annotations

import json
import logging
from typing import NamedTuple

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting

logger = logging.getLogger(__name__)

_SETTING = "moved"


class Seal(NamedTuple):
    """Where the threads of a store have moved."""

    #: The URL of the new database, without secrets, and its schema if it has one.
    to: str
    #: Microseconds since 1970, UTC.
    at: int
    #: The new database (`place` in the stored JSON) as `remembered.origin_of_database` names it, and its PostgreSQL schema.
    place: str = ""
    schema: str | None = None
    #: Whether everything has arrived in the new database: until then, both refuse writes.
    done: bool = False


def read_seal(db: Db) -> Seal | None:
    """The seal of a store; None if it has none."""
    return read_setting(db, _SETTING, lambda stored: Seal(**stored))


def seal_store(db: Db, seal: Seal) -> None:
    """Seal a store, in one transaction after which nothing is written any more. A sealed one is left unchanged."""
    db.expect_long()
    with db.transaction():
        if read_seal(db) is not None:
            return
        for statement in sql.seal.seal(db.connection.dialect, db.statements.schema, seal.to):
            db.execute(statement)
        _store(db, seal)
    logger.info("this store is sealed, its threads are at %s: it refuses writes", seal.to, extra={"event": "store_sealed", "to": seal.to})


def end_move(db: Db) -> None:
    """Note that everything is on the new database: savers that were told of it may follow."""
    with db.transaction():
        found = read_seal(db)
        if found is not None:
            _store(db, found._replace(done=True))


def _store(db: Db, seal: Seal) -> None:
    value = json.dumps(seal._asdict(), separators=(",", ":"))
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": value}, "replace")


def unseal_store(db: Db) -> bool:
    """Take the seal of a store away; returns whether there was one."""
    db.expect_long()
    with db.transaction():
        found = read_seal(db)
        for statement in sql.seal.unseal(db.connection.dialect, db.statements.schema):
            db.execute(statement)
        db.run(sql.settings_table.delete_setting, {"name": _SETTING})
    if found is not None:
        logger.info("this store is not sealed any more: it accepts writes", extra={"event": "store_unsealed", "to": found.to})
    return found is not None
