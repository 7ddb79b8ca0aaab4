"""Triggers that make a sealed store refuse writes: of every process and release, at no cost before they are there."""

from __future__ import annotations

from sqlalchemy import Dialect

from ckptstore.db.capabilities import HAS_CITUS
from ckptstore.db.error_mapping import MOVED
from ckptstore.db.sql.parameters import as_sent
from ckptstore.db.sql.tables import OBJECT, THREAD

#: Every write of a thread touches its row, and every change of blobs touches theirs.
_TABLES = (THREAD.name, OBJECT.name)
_ACTIONS = ("INSERT", "UPDATE", "DELETE")
_FUNCTION = "ckpt_refuse_moved"
# Citus refuses triggers on distributed tables, since they may reach for rows on other nodes. These only refuse, each on its own shard.
_ALLOW_TRIGGERS = f"SELECT set_config('citus.enable_unsafe_triggers', 'on', true) WHERE {HAS_CITUS}"


def seal(dialect: Dialect, schema: str | None, to: str) -> list[str]:
    """Statements that seal a store.

    Args:
        dialect: of the database.
        schema: the PostgreSQL schema of the tables.
        to: the new location, without secrets.
    """
    message = _literal(MOVED + to)
    if dialect.name == "sqlite":
        return [
            f"CREATE TRIGGER {_trigger(table, action)} BEFORE {action} ON {table} BEGIN SELECT RAISE(ABORT, {message}); END"
            for table in _TABLES
            for action in _ACTIONS
        ]
    function = _name(schema, _FUNCTION)
    body = _literal(f"BEGIN RAISE EXCEPTION USING MESSAGE = {message}, ERRCODE = 'CKM01'; END")
    # Before the triggers, both at once: it waits for the writers that are under way, and keeps new ones out.
    lock = f"LOCK TABLE {', '.join(_name(schema, table) for table in _TABLES)} IN SHARE ROW EXCLUSIVE MODE"
    triggers = [
        f"CREATE TRIGGER {_trigger(table, 'write')} BEFORE INSERT OR UPDATE OR DELETE ON {_name(schema, table)} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        for table in _TABLES
    ]
    refuse = f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}"
    return [as_sent(dialect, each) for each in (_ALLOW_TRIGGERS, lock, refuse, *triggers)]


def unseal(dialect: Dialect, schema: str | None) -> list[str]:
    """Statements that take the seal away, if there is one."""
    if dialect.name == "sqlite":
        return [f"DROP TRIGGER IF EXISTS {_trigger(table, action)}" for table in _TABLES for action in _ACTIONS]
    triggers = [f"DROP TRIGGER IF EXISTS {_trigger(table, 'write')} ON {_name(schema, table)}" for table in _TABLES]
    function = f"DROP FUNCTION IF EXISTS {_name(schema, _FUNCTION)}()"
    return [as_sent(dialect, each) for each in (_ALLOW_TRIGGERS, *triggers, function)]


def _trigger(table: str, action: str) -> str:
    return f"{table}_moved_{action.lower()}"


def _name(schema: str | None, name: str) -> str:
    # SQLAlchemy's quoting would double the percent signs of some drivers already.
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name) if part)


def _literal(text: str) -> str:
    """A text within a statement: there are no parameters in the definition of a trigger."""
    return "'" + text.replace("'", "''") + "'"
