"""Waiting until a database's schema is known to fit, once for all operations of a store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from sqlalchemy import Connection

from ckptstore import schema
from ckptstore.database import Database, Work
from ckptstore.forking import in_child
from ckptstore.steps import Steps


class Readiness:
    """Whether the schema is right: found out at the first use.

    Args:
        database: where the tables are.
        in_schema: the PostgreSQL schema of the tables, or None for the connection's own.
        upgrade: whether the first use brings the schema to head (an embedded database) or only checks it (a server).
        then: what else has to hold, once the schema is right; None for nothing.
    """

    def __init__(self, database: Database, in_schema: str | None, *, upgrade: bool, then: Work[None] | None) -> None:
        self._database = database
        self._schema = in_schema
        self._check = schema.upgrade_if_needed if upgrade else schema.require_head
        self._then = then
        self._reset()
        # A child of fork must not wait for what a thread of its parent's was doing.
        in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._checked: Future[None] | None = None
        self._setting_up: Future[None] | None = None

    def set_up(self) -> Future[None]:
        """Bring the schema to head."""
        with self._lock:
            if self._setting_up is None or self._setting_up.done():
                self._setting_up = self._database.write(partial(self._look, schema.upgrade_if_needed))
            self._checked = self._setting_up
            return self._setting_up

    def wait(self) -> Steps[None]:
        """Wait until the schema is known to be right. A failure is not remembered: the next call looks again."""
        checked = self._checked
        if checked is not None and checked.done() and checked.exception() is None:
            return
        with self._lock:
            if self._checked is None or (self._checked.done() and self._checked.exception() is not None):
                self._checked = self._database.write(partial(self._look, self._check))
            checked = self._checked
        yield checked

    def schema_only(self) -> Future[None]:
        """See that the schema is right, whatever else would have to hold."""
        return self._database.write(lambda connection: self._check(connection, self._schema))

    def _look(self, check: Callable[[Connection, str | None], None], connection: Connection) -> None:
        check(connection, self._schema)
        if self._then is not None:
            self._then(connection)
