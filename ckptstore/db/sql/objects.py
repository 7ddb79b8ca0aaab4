"""The registry of objects: what a writer confirms as live, and what the collector marks and deletes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Delete,
    Select,
    Text,
    Update,
    bindparam,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)

from ckptstore.db.sql.content import is_outside
from ckptstore.db.sql.lookups import rows_with_keys
from ckptstore.db.sql.parameters import keys_table
from ckptstore.db.sql.routing import REFERENCED, SCATTERED
from ckptstore.db.sql.tables import OBJECT, OBJECT_KEY, SEGMENT

_NOW = bindparam("now", type_=BigInteger)
_BEFORE = bindparam("before", type_=BigInteger)


def _in_state(*states: str) -> ColumnElement[bool]:
    return OBJECT.c.state.in_([literal_column(f"'{state}'") for state in states])


def _given(database: str) -> ColumnElement[bool]:
    if database != "sqlite":
        # Not a join, for which PostgreSQL might read the whole table.
        return OBJECT.c.key == func.any(bindparam("keys_key", type_=ARRAY(Text())))
    given_keys = keys_table(database, OBJECT_KEY)
    return OBJECT.c.key.in_(select(given_keys.c.key))


def is_referred_to(database: str) -> ColumnElement[bool]:
    """Whether a segment refers to an object; of a statement that goes to every shard, the parameter `REFERENCED` says to which of them."""
    if database == SCATTERED:
        return OBJECT.c.key == func.any(bindparam(REFERENCED, type_=ARRAY(Text())))
    return exists().where(SEGMENT.c.object_key == OBJECT.c.key)


def referenced_among(_database: str) -> Select[Any]:
    """Those of the given objects that a segment refers to, each once (PostgreSQL)."""
    return select(SEGMENT.c.object_key).where(SEGMENT.c.object_key == func.any(bindparam("keys_key", type_=ARRAY(Text())))).distinct()


def _set(state: str) -> Update:
    return update(OBJECT).values(state=literal_column(f"'{state}'"), changed_at=_NOW)


def objects_with_digests(database: str) -> Select[Any]:
    """Digest, key and size of the objects with one of the given digests that a writer may refer to, newest first."""
    joined, found = rows_with_keys(database, OBJECT, ("digest",))
    # The upload of a pending one may never finish; a marked one becomes live when a writer confirms it.
    usable = found.c.state.in_([literal_column("'live'"), literal_column("'marked'")])
    return (
        select(found.c.digest, found.c.key, found.c.size).select_from(joined).where(usable).order_by(found.c.created_at.desc(), found.c.key)
    )


def newest_objects(_database: str) -> Select[Any]:
    """Keys of the newest objects of the blob backend whose upload has ended."""
    some = select(OBJECT.c.key).where(_in_state("live", "marked"), is_outside()).order_by(OBJECT.c.created_at.desc(), OBJECT.c.key)
    return some.limit(literal_column("20"))


def any_object(_database: str) -> Select[Any]:
    """One row if any object of the blob backend is registered."""
    return select(literal_column("1")).select_from(OBJECT).where(is_outside()).limit(literal_column("1"))


def confirm_live(database: str) -> Update:
    """Make the given objects live, except those that are being deleted; returns the keys of those that are live now."""
    return _set("live").where(_given(database), ~_in_state("deleting")).returning(OBJECT.c.key)


def unreferenced_objects(database: str) -> Select[Any]:
    """Key and size of objects that nothing refers to and that no writer confirmed since `before`, after the key `after`.

    Where segments are on several shards also objects that something refers to: it is asked for each page of them (`referred_to_objects`).
    """
    unreferenced = [] if database == SCATTERED else [~is_referred_to(database)]
    return (
        select(OBJECT.c.key, OBJECT.c.size)
        .where(_in_state("pending", "live"), OBJECT.c.changed_at < _BEFORE, *unreferenced)
        .where(OBJECT.c.key > bindparam("after", type_=Text()))
        .order_by(OBJECT.c.key)
        .limit(bindparam("page_size", type_=BigInteger))
    )


def mark_objects(database: str) -> Update:
    """Mark those of the given objects that are still unreferenced and not confirmed since `before`; returns their keys."""
    still = [_in_state("pending", "live"), OBJECT.c.changed_at < _BEFORE, ~is_referred_to(database)]
    return _set("marked").where(_given(database), *still).returning(OBJECT.c.key)


def objects_in_state(_database: str, state: str) -> Select[Any]:
    """Key and size of the objects in a state since before `before`, after the key `after`."""
    return (
        select(OBJECT.c.key, OBJECT.c.size)
        .where(_in_state(state), OBJECT.c.changed_at < _BEFORE, OBJECT.c.key > bindparam("after", type_=Text()))
        .order_by(OBJECT.c.key)
        .limit(bindparam("page_size", type_=BigInteger))
    )


def lock_objects(database: str) -> Select[Any]:
    """The given objects, locked in the order of their keys until the transaction ends."""
    return select(OBJECT.c.key).where(_given(database)).order_by(OBJECT.c.key).with_for_update()


def unmark_objects(database: str) -> Update:
    """Make those of the given marked objects live that something refers to; returns their keys."""
    return _set("live").where(_given(database), _in_state("marked"), is_referred_to(database)).returning(OBJECT.c.key)


def start_deleting(database: str) -> Update:
    """Change those of the given marked objects that nothing refers to to `deleting`; returns their keys."""
    return _set("deleting").where(_given(database), _in_state("marked"), ~is_referred_to(database)).returning(OBJECT.c.key)


def drop_objects(database: str) -> Delete:
    """Delete the rows of those of the given objects that are in state `deleting`: their content was deleted."""
    return delete(OBJECT).where(_given(database), _in_state("deleting"))


def referred_to_objects(database: str) -> Select[Any]:
    """Those of the given objects that something refers to."""
    return select(OBJECT.c.key).where(_given(database), is_referred_to(database))
