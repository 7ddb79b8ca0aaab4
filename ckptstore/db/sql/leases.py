"""Statements on the leases of threads. Every time in them is the database's: the clocks of processes differ."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Delete,
    Insert,
    Integer,
    Select,
    Text,
    Update,
    bindparam,
    cast,
    delete,
    literal_column,
    select,
    update,
)

from ckptstore.db.sql.insert import insert_into, resolve_conflict
from ckptstore.db.sql.lookups import equal_columns, has_given_key, rows_with_keys
from ckptstore.db.sql.tables import LEASE, LEASE_KEY

# The time in microseconds since 1970 at which the statement began, also within a transaction that began earlier.
_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)",
    "postgresql": "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)",
}
_HOLDS = LEASE.c.place == literal_column("0")
_OF_THREAD = LEASE.c.thread_id == bindparam("thread_id", type_=Text())


class Request(NamedTuple):
    """A row of the queue of one thread, see `ckptstore.db.models.Lease`."""

    place: int
    fence: str
    host: str
    pid: int
    label: str
    since: int
    expires_at: int
    #: By the database's clock. On SQLite a number.
    expired: bool


def now(database: str) -> ColumnElement[int]:
    """The database's time."""
    return literal_column(_NOW["sqlite" if database == "sqlite" else "postgresql"], BigInteger)


def request(database: str) -> Insert:
    """Add a request at a place of its thread's queue; nothing if the place is taken."""
    current = now(database)
    given = {name: bindparam(name, type_=Text()) for name in ("thread_id", "fence", "host", "label")}
    numbers = {"place": bindparam("place", type_=BigInteger()), "pid": bindparam("pid", type_=Integer())}
    ttl = bindparam("ttl", type_=BigInteger())
    values = {**given, **numbers, "since": current, "expires_at": current + ttl, "ttl": ttl}
    made: Insert = resolve_conflict(insert_into(database, LEASE).values(values), LEASE, "keep")
    return made


def lock_holder(_database: str) -> Select[Any]:
    """The fence of the request that holds a thread; locks its row against other changes of the queue, not against writes under it."""
    return select(LEASE.c.fence).where(_OF_THREAD, _HOLDS).with_for_update(key_share=True)


def queue_of(database: str) -> Select[Any]:
    """The requests of a thread (`Request`), the one that holds it first."""
    expired = cast(LEASE.c.expires_at, BigInteger) <= now(database)
    times = [cast(LEASE.c[name], BigInteger).label(name) for name in ("since", "expires_at")]
    names = [LEASE.c[name] for name in ("place", "fence", "host", "pid", "label")]
    return select(*names, *times, expired.label("expired")).where(_OF_THREAD).order_by(LEASE.c.place)


def grant(database: str) -> Update:
    """Let a request that waits hold its thread from now on."""
    current = now(database)
    values = {"place": literal_column("0"), "since": current, "expires_at": current + LEASE.c.ttl}
    return update(LEASE).where(_OF_THREAD, LEASE.c.place == bindparam("waiting_at", type_=BigInteger())).values(values)


def drop(database: str) -> Delete:
    """Delete the given requests, whether they hold their threads or wait."""
    return delete(LEASE).where(has_given_key(database, LEASE, LEASE_KEY))


def renew(database: str) -> Update:
    """Renew the given requests; returns thread and fence of those that exist."""
    values = {"expires_at": now(database) + LEASE.c.ttl}
    return update(LEASE).where(has_given_key(database, LEASE, LEASE_KEY)).values(values).returning(LEASE.c.thread_id, LEASE.c.fence)


def states_of(database: str) -> Select[Any]:
    """The given requests that exist: thread, fence, place, and whether anybody may hold the thread now: its holder has gone or expired."""
    joined, found = rows_with_keys(database, LEASE, LEASE_KEY)
    holder = LEASE.alias("holder")
    alive = cast(holder.c.expires_at, BigInteger) > now(database)
    held: Select[Any] = select(literal_column("1")).where(
        *equal_columns(holder, found, ["thread_id"]), holder.c.place == literal_column("0"), alive
    )
    return select(*[found.c[name] for name in ("thread_id", "fence", "place")], cast(~held.exists(), Boolean)).select_from(joined)


def lock_fences(database: str) -> Select[Any]:
    """The given requests that exist, locked against deletion until the transaction ends: a holder that takes a thread over waits for it."""
    found = select(LEASE.c.thread_id, LEASE.c.fence).where(has_given_key(database, LEASE, LEASE_KEY))
    return found.order_by(LEASE.c.thread_id).with_for_update(read=True, key_share=True, of=LEASE)
