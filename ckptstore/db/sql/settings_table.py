"""The settings that all savers on a database share."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Delete, Insert, Integer, Select, Text, bindparam, cast, delete, func, literal_column, select

from ckptstore.db.sql.insert import insert_into, resolve_conflict
from ckptstore.db.sql.tables import CHECKPOINT, SETTING


def setting(_database: str) -> Select[Any]:
    """The value of one setting, as JSON."""
    return select(cast(SETTING.c.value, Text)).where(SETTING.c.name == bindparam("name"))


def lock_setting(database: str) -> Select[Any]:
    """Like `setting`, and lock its row until the transaction ends."""
    return setting(database).with_for_update()


def set_setting(database: str, conflict: str) -> Insert:
    """Set a setting: `replace` its value, or `keep` the existing one."""
    value = cast(bindparam("value", type_=Text()), SETTING.c.value.type) if database != "sqlite" else bindparam("value", type_=Text())
    made: Insert = resolve_conflict(insert_into(database, SETTING).values(name=bindparam("name"), value=value), SETTING, conflict)
    return made


def delete_setting(_database: str) -> Delete:
    """Delete a setting."""
    return delete(SETTING).where(SETTING.c.name == bindparam("name"))


def settings_beginning_with(_database: str) -> Select[Any]:
    """Name and value, as JSON, of the settings whose name begins with `prefix`, which has `length` characters."""
    begins = func.substr(SETTING.c.name, literal_column("1"), bindparam("length", type_=Integer())) == bindparam("prefix", type_=Text())
    return select(SETTING.c.name, cast(SETTING.c.value, Text)).where(begins).order_by(SETTING.c.name)


def any_checkpoint(_database: str) -> Select[Any]:
    """One row if there is any checkpoint."""
    return select(literal_column("1")).select_from(CHECKPOINT).limit(literal_column("1"))
