"""`Db`: one connection and the statements of its database. Every function that reads or writes the tables takes one.

Statements run at the driver's own cursor: SQLAlchemy's execution and result cost several times what SQLite takes to run one of
our statements, and a third of what PostgreSQL takes. On an engine that someone observes (`observe.is_observed`) they run through
SQLAlchemy, which reports each to listeners and to its log. Either way errors are the driver's own; `error_mapping` translates them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement, Connection, Table
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from ckptstore.db.abilities import Abilities
from ckptstore.db.cell_types import require_types
from ckptstore.db.error_mapping import ConnectionLost, is_ending
from ckptstore.db.sharding import for_each_thread
from ckptstore.db.sql.insert import in_powers_of_two, insert_arrays, insert_rows, insert_values, row_parameters, value_parameters
from ckptstore.db.sql.numbered_rows import insert_tag_arrays
from ckptstore.db.sql.objects import referenced_among
from ckptstore.db.sql.parameters import key_parameters
from ckptstore.db.sql.routing import REFERENCED
from ckptstore.db.sql.tables import OBJECT_KEY, TAG, Row
from ckptstore.db.sqlstates import Discard, fault_of
from ckptstore.db.statement import CompiledStatement, Statements
from ckptstore.db.watch import Watch

T = TypeVar("T")

logger = logging.getLogger(__name__)

_BEGIN_WRITING = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "BEGIN"}
_BEGIN_READING = {"sqlite": "BEGIN", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}
# A connection that was used so recently is not tested before a statement that may take long.
_RECENT_SECONDS = 1.0
# Computing with fewer takes less than some milliseconds.
_MANY_ITEMS = 200


@dataclass(slots=True)
class Rows:
    """The whole result of a statement: no cursor stays open while a caller reads it."""

    found: Sequence[Any]
    rowcount: int

    def __iter__(self) -> Iterator[Any]:
        return iter(self.found)

    def all(self) -> Sequence[Any]:
        """The rows."""
        return self.found

    def scalar_one(self) -> Any:
        """The first value of the first row."""
        return self.found[0][0]


class Db:
    """One connection in autocommit, for as long as one work runs.

    Args:
        connection: from SQLAlchemy's pool.
        statements: compiled for this database.
        observed: whether statements run through SQLAlchemy, which reports them.
        watch: ends the connection when a server is silent for too long; None for a database without a server.
        abilities: of the database; without them, what every one has.
        runs_apart: whether statements run apart from this thread, so that an exception may leave one running.
    """

    __slots__ = ("abilities", "connection", "dialect_name", "kept", "observed", "on_sqlite", "runs_apart", "statements", "watch")

    def __init__(
        self,
        connection: Connection,
        statements: Statements,
        *,
        observed: bool = False,
        watch: Watch | None = None,
        runs_apart: bool = True,
        abilities: Abilities | None = None,
    ) -> None:
        self.abilities = abilities or Abilities()
        self.runs_apart = runs_apart
        self.connection = connection
        self.kept: dict[Any, Any] = {}  # Its `info`, where it stays open from one work to the next: looking that up takes two calls.
        self.statements = statements if self.abilities.statements is None else self.abilities.statements
        self.observed = observed
        self.watch = watch
        self.dialect_name = statements.dialect_name
        self.on_sqlite = statements.on_sqlite

    # --- deadlines

    def expect_long(self, *, unbounded: bool = False) -> None:
        """Let each statement of the rest of this work take long, see `DatabaseSettings.long_attempt_seconds`.

        A server waits as long for this client within the transactions that follow.

        Args:
            unbounded: as long as the connection lasts.
        """
        if self.watch is None:
            return
        answered_at = self.connection.info.get("idle_since", -math.inf)
        if not self.watch.answers and time.monotonic() - answered_at > _RECENT_SECONDS:
            # A connection that is dead already must not get the longer bound.
            self.execute("SELECT 1")
        self.watch.expect_long(unbounded=unbounded)

    # --- statements

    def run(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any] | None = None, *args: Any) -> Rows:
        """Execute the statement `build(dialect name, *args)` with named parameters.

        Raises:
            CheckpointCorrupt, DatabaseCorrupt: a result is of another type than its column, see `cell_types`.
        """
        statement = self.statements[build, *args]
        given = parameters or {}
        if statement.each_thread:
            return self._run_each_thread(statement, given)
        if statement.takes_references:
            found = self.run(referenced_among, {"keys_key": given["keys_key"]})
            given = {**given, REFERENCED: [key for (key,) in found]}
        rows = self.execute(statement.text, statement.arguments(given))
        if statement.cells:
            require_types(statement.cells, rows.found, given)
        return rows

    def _run_each_thread(self, statement: CompiledStatement, parameters: Mapping[str, Any]) -> Rows:
        found = [self.execute(statement.text, statement.arguments(own)) for own in for_each_thread(parameters)]
        return Rows([row for rows in found for row in rows], sum(rows.rowcount for rows in found))

    def scan(self, build: Callable[..., ClauseElement], parameters: Mapping[str, Any], *args: Any) -> Sequence[Any]:
        """All rows of a statement that may take long, see `expect_long` and `run`."""
        self.expect_long()
        return self.run(build, parameters, *args).all()

    def run_rows(self, build: Callable[..., ClauseElement], rows: Sequence[Row], *args: Any) -> Rows:
        """Execute `build(dialect name, number of rows, *args)`, which takes the cells of all rows, one row after the other (SQLite)."""
        statement = self.statements[build, len(rows), *args]
        return self.execute(statement.text, tuple(chain.from_iterable(rows)))

    def insert(self, table: Table, conflict: str, rows: Sequence[Row]) -> int:
        """Insert rows that have the table's columns in order.

        Args:
            table: the table.
            conflict: what happens where a row with the same key exists, see `sql.insert.resolve_conflict`.
            rows: their cells, times as microseconds.

        Returns:
            How many rows were inserted or changed.
        """
        if not rows:
            return 0
        if not self.abilities.database.counts_inserted:
            parts = in_powers_of_two(rows)
            return sum(self.run(insert_values, value_parameters(table, part), len(part), table, conflict).rowcount for part in parts)
        if not self.on_sqlite:
            if table is TAG and self.statements.numbers_tags:
                return self.run(insert_tag_arrays, row_parameters(table, rows)).rowcount
            return self.run(insert_arrays, row_parameters(table, rows), table, conflict).rowcount
        return sum(self.run_rows(insert_rows, part, table, conflict).rowcount for part in in_powers_of_two(rows))

    def key_parameters(self, names: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, Any]:
        """The parameters of a statement that takes a table of keys, see `sql.parameters.keys_table`."""
        return key_parameters(self.dialect_name, names, rows)

    def object_keys(self, keys: Iterable[str]) -> dict[str, Any]:
        """The parameters of a statement that takes the keys of objects."""
        return key_parameters(self.dialect_name, OBJECT_KEY, [(key,) for key in keys])

    def execute(self, text: str, arguments: Any = ()) -> Rows:
        """Execute the text of a statement, with arguments as the driver takes them.

        Raises:
            ConnectionLost: from the driver's error; the connection never returns to the pool.
        """
        try:
            if self.observed:
                return self._execute_reported(text, arguments)
            cursor = self.connection.connection.cursor()
            cursor.execute(text, arguments)
            if self.watch is not None:
                self.watch.answers += 1
            return Rows(cursor.fetchall(), cursor.rowcount)
        except Exception as exc:
            self.discard_if_lost(exc)
            raise
        except BaseException:
            if self.runs_apart:
                # Cancelled while it ran: the server's answer may still arrive on this connection.
                self.connection.invalidate()
            raise

    def _execute_reported(self, text: str, arguments: Any) -> Rows:
        """Execute through SQLAlchemy; raises the driver's own error, as the driver's cursor does."""
        try:
            result = self.connection.exec_driver_sql(text, arguments)
            rowcount = result.rowcount
            return Rows([tuple(row) for row in result] if result.returns_rows else [], rowcount)
        except DBAPIError as exc:
            if exc.orig is None:
                raise
            raise exc.orig from exc.orig.__cause__

    def discard_if_lost(self, exc: Exception) -> None:
        """After an error of a statement: if the connection is unusable since, never use it again.

        Raises:
            ConnectionLost: it is unusable.
        """
        if self._is_lost(exc):
            self.connection.invalidate(exc)
            raise ConnectionLost from exc

    def _is_lost(self, exc: Exception) -> bool:
        """Whether the connection is unusable: it was closed, or the error's SQLSTATE means that."""
        fault = fault_of(exc)
        if self.connection.invalidated or is_ending(exc) or (fault is not None and fault.discard is not Discard.NONE):
            return True
        driver_connection = self.connection.connection.dbapi_connection
        return self.connection.dialect.is_disconnect(cast(Any, exc), driver_connection, None)

    def compute(self, item_count: int, function: Callable[..., T], *args: Any) -> T:
        """Call a function that computes with so many items.

        Where work runs on an event loop, one with many runs on a worker thread: other work continues.
        """
        if item_count < _MANY_ITEMS or not self.connection.dialect.is_async:
            return function(*args)
        computed: T = await_only(asyncio.to_thread(function, *args))
        return computed

    # --- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction. On SQLite it holds the write lock from the start."""
        with self._committed(_BEGIN_WRITING[self.dialect_name]):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads of one state of the database. A single statement is a snapshot by itself."""
        with self._committed(_BEGIN_READING[self.dialect_name]):
            yield

    @contextmanager
    def _committed(self, begin: str) -> Iterator[None]:
        self.execute(begin)
        try:
            if self.watch is not None and self.watch.is_long:
                # A caller that writes rows to a disk, or shares a busy machine, may compute for long between two statements.
                self.execute(f"SELECT set_config('idle_in_transaction_session_timeout', '{round((self.watch.bound or 0) * 1000)}', true)")
            yield
            self.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self.connection.invalidated:
            return
        try:
            if self._in_transaction():
                self.execute("ROLLBACK")
        except Exception:
            # The error that caused the rollback is the one to report.
            self._roll_back_unreported()

    def _roll_back_unreported(self) -> None:
        """Roll back without listeners: one of them may have raised. A connection in an unknown state never returns to the pool."""
        try:
            self.connection.connection.rollback()
            if self.on_sqlite and not self._in_transaction():
                return
        except Exception as exc:
            logger.debug("a rollback failed: %s", exc, extra={"event": "rollback_failed"})
        self.connection.invalidate()

    def _in_transaction(self) -> bool:
        """False on SQLite after an error that ended the transaction, where ROLLBACK is an error. PostgreSQL accepts it at any time."""
        driver_connection = self.connection.connection.driver_connection
        return not self.on_sqlite or (driver_connection is not None and driver_connection.in_transaction)
