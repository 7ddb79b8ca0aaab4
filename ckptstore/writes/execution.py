"""What the queue gives its runner for a batch: the work, and the statement that nearly always does all of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any, Protocol

from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.statement import Statements
from ckptstore.db.statement_work import Call, StatementWork
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import Batch

#: Stores a batch, waiting so many seconds for locks; returns for each write None, or why it was not stored: it is then encoded again and
#: keeps its turn.
CommitBatch = Callable[[Db, Sequence[EncodedWrite], float], Sequence[MissingParts | None]]


class BeginBatch(Protocol):
    """Begins an attempt to store some writes, see `commit.begin_batch`."""

    def __call__(self, abilities: Abilities, batch: Sequence[EncodedWrite], lock_seconds: float, /) -> BatchAttempt: ...


class BatchAttempt(Protocol):
    """One attempt to store some writes, see `commit_postgres.BatchCommit`."""

    def statement(self, statements: Statements, abilities: Abilities) -> Call | None: ...
    def answered(self, rows: Sequence[Any]) -> bool: ...
    def finish(self, db: Db) -> Sequence[Any]: ...
    def recovers(self, exc: Exception) -> bool: ...
    def explain(self, exc: Exception) -> Exception: ...


class BatchExecution(StatementWork[Sequence[Any]]):
    """Stores a batch, in as many attempts as it takes.

    Args:
        batch: the batch, or work that runs alone.
        execute: does all of it with a `Db`.
        begin: begins an attempt that has a statement; None if there is no such way.
        note_stored: called with the batch and when the attempt began, once it is stored.
    """

    def __init__(
        self,
        batch: Batch,
        execute: Callable[[Batch, Db], Sequence[Any]],
        begin: BeginBatch | None,
        note_stored: Callable[[Batch, float], object],
    ) -> None:
        self._batch = batch
        self._execute = execute
        self._begin = begin
        self._note_stored = note_stored
        self._started = 0.0
        self._attempt: BatchAttempt | None = None
        #: Whether the attempt's statement has been executed, and something is left to do.
        self._is_partly_done = False

    def __call__(self, db: Db) -> Sequence[Any]:
        if not self._is_partly_done or self._attempt is None:
            return self._execute(self._batch, db)
        self._is_partly_done = False
        results = self._attempt.finish(db)
        self._note_stored(self._batch, self._started)
        return results

    def statement(self, statements: Statements, abilities: Abilities) -> Call | None:
        self._is_partly_done = False
        if self._begin is None or self._batch.entries[0].work is not None:
            return None
        self._batch.has_begun = True
        self._started = monotonic()
        self._attempt = self._begin(abilities, self._batch.writes, self._batch.lock_seconds)
        return self._attempt.statement(statements, abilities)

    def result(self, rows: Sequence[Any]) -> Sequence[Any] | None:
        assert self._attempt is not None
        if not self._attempt.answered(rows):
            self._is_partly_done = True
            return None
        self._note_stored(self._batch, self._started)
        return [None] * len(self._batch.entries)

    def recovers(self, exc: Exception) -> bool:
        self._is_partly_done = self._attempt is not None and self._attempt.recovers(exc)
        return self._is_partly_done

    def explain(self, exc: Exception) -> Exception:
        return exc if self._attempt is None else self._attempt.explain(exc)
