"""All open connections of an engine on a server: each phase of opening one has a deadline, and all can be ended at once."""

from __future__ import annotations

import asyncio
import weakref
from contextlib import suppress
from typing import Any

from sqlalchemy import Dialect, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ckptstore.db.hosts import beginning_with, host_count
from ckptstore.db.peer import abort, keep_alive
from ckptstore.db.watch import Watch, current_watch

# How long a graceful close may take; then the connection is aborted.
GRACEFUL_CLOSE_SECONDS = 2.0


class ServerConnections:
    """Knows every open connection of an engine.

    Args:
        engine: of PostgreSQL; it has opened no connection yet.
    """

    def __init__(self, engine: Engine) -> None:
        self._open: weakref.WeakSet[Any] = weakref.WeakSet()
        self._host_count = host_count(engine.dialect.create_connect_args(engine.url)[1])
        #: The server of several with which attempts begin.
        self.host = 0
        # Known by its function, and so there once: an adopted engine shares its dialect with its owner's.
        event.listen(engine, "do_connect", _watch_connecting)
        # Before SQLAlchemy's own listener asks the server about itself.
        event.listen(engine, "connect", self._opened, insert=True)
        event.listen(engine, "close", _bound_graceful_close)

    def _opened(self, dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
        driver_connection = dbapi_connection.driver_connection
        self._open.add(driver_connection)
        keep_alive(driver_connection)
        watch = current_watch.get()
        if watch is not None:
            watch.begin(driver_connection)

    def skip_host(self, watch: Watch) -> bool:
        """Note that a server did not let an attempt connect; returns whether there is one of several that it has not tried."""
        following = (watch.host + 1) % self._host_count
        if self.host == watch.host:
            self.host = following
        watch.host = following
        watch.hosts_tried += 1
        return watch.hosts_tried < self._host_count

    def abort(self) -> None:
        """Abort all of them; what waits for one of them fails as after any loss of a connection."""
        for driver_connection in list(self._open):
            abort(driver_connection)


def _bound_graceful_close(dbapi_connection: Any, _entry: ConnectionPoolEntry) -> None:
    # asyncpg waits without a bound until the server has closed the connection. Outside a loop nothing waits.
    with suppress(RuntimeError):
        asyncio.get_running_loop().call_later(GRACEFUL_CLOSE_SECONDS, abort, dbapi_connection.driver_connection)


def _watch_connecting(dialect: Dialect, _entry: Any, arguments: Any, connect_args: dict[str, Any]) -> Any:
    watch = current_watch.get()
    if watch is None:
        return None
    watch.begin(None)
    # None: SQLAlchemy connects.
    return dialect.connect(*arguments, **beginning_with(connect_args, watch.host)) if watch.host else None
