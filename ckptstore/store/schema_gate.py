"""Waiting until a database's schema is known to fit, once for all operations of a store."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial

from ckptstore.db import schema
from ckptstore.db.handle import Db
from ckptstore.db.runner import Runner, Work
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.steps import Steps


class SchemaGate:
    """Whether the schema is right: found out at the first use.

    Args:
        runner: of the database.
        upgrade: whether the first use brings the schema to head (an embedded database) or only checks it (a server).
        then: what else has to hold, once the schema is right; None for nothing.
    """

    def __init__(self, runner: Runner, *, upgrade: bool, then: Work[None] | None) -> None:
        self._runner = runner
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
                self._setting_up = self._runner.write(partial(self._look, schema.upgrade_if_needed))
            self._checked = self._setting_up
            return self._setting_up

    def wait(self) -> Steps[None]:
        """Wait until the schema is known to be right. A failure is not remembered: the next call looks again."""
        checked = self._checked
        if checked is not None and checked.done() and checked.exception() is None:
            return
        with self._lock:
            if self._checked is None or (self._checked.done() and self._checked.exception() is not None):
                self._checked = self._runner.write(partial(self._look, self._check))
            checked = self._checked
        yield checked

    def check_schema(self) -> Future[None]:
        """See that the schema is right, whatever else would have to hold."""
        return self._runner.write(self._check)

    def _look(self, check: Work[None], db: Db) -> None:
        check(db)
        if self._then is not None:
            self._then(db)
