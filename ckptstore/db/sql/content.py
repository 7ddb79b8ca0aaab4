"""The objects whose content is in the database, and how their keys are told from others."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Delete,
    Insert,
    LargeBinary,
    Select,
    Text,
    bindparam,
    case,
    delete,
    func,
    literal_column,
    or_,
    select,
)

from ckptstore.db.sql.insert import insert_into
from ckptstore.db.sql.tables import CONTENT, OBJECT

_KEY: ColumnElement[str] = bindparam("key", type_=Text())
_LENGTH: ColumnElement[int] = func.length(CONTENT.c.content)


def is_outside() -> ColumnElement[bool]:
    """Whether a registered object is in a blob backend. A range, so that the index of the keys answers it."""
    # "0" is the character after "/".
    return or_(OBJECT.c.key < literal_column("'database/'"), OBJECT.c.key >= literal_column("'database0'"))


def put_content(database: str) -> Insert:
    """Store `content` under `key`. One row with a parameter of its own: psycopg sends an array of bytes as text."""
    insert = insert_into(database, CONTENT).values(key=_KEY, content=bindparam("content", type_=LargeBinary()))
    made: Insert = insert.on_conflict_do_update(index_elements=["key"], set_={"content": insert.excluded.content})
    return made


def content(_database: str) -> Select[Any]:
    """Size of the object `key` in bytes, and its content; null if it is longer than `max_bytes`."""
    bounded = case((bindparam("max_bytes", type_=BigInteger) >= _LENGTH, CONTENT.c.content))
    return select(_LENGTH, bounded).where(CONTENT.c.key == _KEY)


def content_size(_database: str) -> Select[Any]:
    """Size of the object `key` in bytes."""
    return select(_LENGTH).where(CONTENT.c.key == _KEY)


def content_sizes(_database: str) -> Select[Any]:
    """Key and size of the objects after the key `after`, in the order of their keys."""
    after = CONTENT.c.key > bindparam("after", type_=Text())
    return select(CONTENT.c.key, _LENGTH).where(after).order_by(CONTENT.c.key).limit(bindparam("page_size", type_=BigInteger))


def delete_content(_database: str) -> Delete:
    """Delete the object `key`."""
    return delete(CONTENT).where(CONTENT.c.key == _KEY)
