"""What a target remembers of each thread that was transferred to it, so that the next transfer brings only what has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import URL

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.sql.tables import Row
from ckptstore.db.stored_settings import formed
from ckptstore.transfer.parcel import Stamp

_PREFIX = "transfer:"
_DEFAULT_PORT = 5432


class Remembered(NamedTuple):
    """A thread as the last transfer left it."""

    #: The thread's stamp at the source; None if more may have been written within the same second.
    source: Stamp | None
    #: The thread's stamp at the target. If it has another one now, the target's own savers wrote to it.
    target: Stamp
    #: The attempt that stored it.
    attempt: str
    #: Where it came from, see `origin_of`.
    origin: str


def origin_of(*parts: str) -> str:
    """The origin of a thread, as it is remembered: threads of two sources with one id are never taken for one thread."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def origin_of_database(url: URL, schema: str | None) -> str:
    """The origin of threads in a database, however its user and driver are written."""
    if url.get_backend_name() == "sqlite":
        return origin_of("sqlite", os.path.realpath(str(url.database)))
    port = str(url.port or _DEFAULT_PORT)
    query = [f"{name}={value}" for name, value in sorted(url.query.items()) if name == "host"]
    return origin_of("postgresql", url.host or "", port, url.database or "", schema or "", *query)


def remembered(db: Db, thread_ids: Iterable[str]) -> dict[str, Remembered]:
    """What is remembered of those of some threads that were transferred before."""
    names = {_name(each): each for each in thread_ids}
    rows = db.run(sql.transfer.given_settings, db.key_parameters(("name",), [(name,) for name in names]))
    return {names[name]: formed(name, value, lambda stored: Remembered(**stored)) for name, value in rows}


def remember(db: Db, threads: Mapping[str, Remembered]) -> None:
    """Remember threads, in the transaction that stores them."""
    rows: list[Row] = [(_name(each), json.dumps(found._asdict(), separators=(",", ":"))) for each, found in threads.items()]
    db.insert(sql.tables.SETTING, "replace", rows)


def forget(db: Db, thread_id: str) -> None:
    """Forget a thread that was deleted."""
    db.run(sql.settings_table.delete_setting, {"name": _name(thread_id)})


def _name(thread_id: str) -> str:
    # Not the id itself: a thread that is erased leaves nothing of it.
    return _PREFIX + hashlib.sha256(thread_id.encode("utf-8", "surrogatepass")).hexdigest()[:40]
