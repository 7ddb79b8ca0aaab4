"""The schema gate: no operation touches a database before its schema has been checked, once for all operations of a store."""

from __future__ import annotations

from functools import partial

from ckptstore.db import schema
from ckptstore.db.connection import Db
from ckptstore.db.layout import AS_IT_IS, Layout
from ckptstore.db.runner import Runner, Work
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps


class SchemaGate:
    """Checks the schema at the first use, or upgrades it.

    Args:
        runner: runs work on the database.
        upgrade: True if the first use brings the schema to head (an embedded database), False if it only checks it (a server).
        also_check: another check, which runs after the schema's; None for none.
    """

    def __init__(self, runner: Runner, *, upgrade: bool, also_check: Work[None] | None) -> None:
        self._runner = runner
        self._check = schema.upgrade_if_needed if upgrade else schema.require_head
        self._also_check = also_check
        self._reset()
        # A child process must not wait for a check that a worker thread of its parent was running.
        in_child(self._reset)

    def _reset(self) -> None:
        self._checked: Future[None] | None = None
        self._setting_up: Future[None] | None = None

    def set_up(self, layout: Layout) -> Future[None]:
        """Bring the schema to head, and lay its tables out. Callers at the same time share an upgrade that does not."""
        setting_up = self._setting_up
        if setting_up is None or setting_up.done() or layout != AS_IT_IS:
            setting_up = self._setting_up = self._runner.write(partial(self._run_checks, layout.upgrade))
        self._checked = setting_up
        return setting_up

    def wait(self) -> Steps[None]:
        """Wait until the checks have passed. A failure is not remembered: the next call checks again.

        Callers share a check. There is no lock, which an interrupted caller might leave locked: two of them may both check.
        """
        checked = self._checked
        if checked is not None and checked.done() and checked.exception() is None:
            return
        if checked is None or checked.done():
            checked = self._checked = self._runner.write(partial(self._run_checks, self._check))
        yield checked

    def check_schema(self) -> Future[None]:
        """Check (or upgrade) the schema only, without `also_check`."""
        return self._runner.write(self._check)

    def _run_checks(self, check_schema: Work[None], db: Db) -> None:
        check_schema(db)
        if self._also_check is not None:
            self._also_check(db)
