"""A batch as work for a runner: by its statement, by a `Db`, or by one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckptstore.db.statement_work import Call
from ckptstore.writes.batch import Batch
from ckptstore.writes.entry import QueueEntry
from ckptstore.writes.execution import BatchExecution
from tests.support.attempts import task_writes

NOTHING: Any = None


class Attempt:
    """Answers as the test says."""

    def __init__(self, log: list[str], stores_all: bool) -> None:
        self.log = log
        self.stores_all = stores_all

    def __call__(self, _abilities: Any, batch: Sequence[Any], _lock_seconds: float) -> Attempt:
        self.log.append(f"begin {len(batch)}")
        return self

    def statement(self, _statements: Any, _abilities: Any) -> Call | None:
        return Call("text", ())

    def answered(self, _rows: Sequence[Any]) -> bool:
        self.log.append("answered")
        return self.stores_all

    def finish(self, _db: Any) -> Sequence[Any]:
        self.log.append("finish")
        return ["rest"]

    def recovers(self, exc: Exception) -> bool:
        return isinstance(exc, KeyError)

    def explain(self, exc: Exception) -> Exception:
        return LookupError(exc)


def execution(log: list[str], stores_all: bool = True, *, work: Any = None, begin: bool = True) -> BatchExecution:
    batch = Batch()
    entry = QueueEntry(("t",), None, work)
    entry.write = None if work else task_writes("t", "w")
    batch.entries = [entry]

    def execute(*_: Any) -> Sequence[Any]:
        log.append("execute")
        return ["all"]

    return BatchExecution(batch, execute, Attempt(log, stores_all) if begin else None, lambda *_: log.append("stored"))


def test_what_its_statement_stores_is_noted_as_stored() -> None:
    log: list[str] = []
    made = execution(log)
    assert made.statement(NOTHING, NOTHING) == Call("text", ())
    assert made.result([]) == [None]
    assert log == ["begin 1", "answered", "stored"]
    assert isinstance(made.explain(ValueError()), LookupError)


def test_what_is_left_is_finished_once_and_a_repetition_begins_anew() -> None:
    log: list[str] = []
    made = execution(log, stores_all=False)
    made.statement(NOTHING, NOTHING)
    assert made.result([]) is None
    assert made(NOTHING) == ["rest"]
    assert log == ["begin 1", "answered", "finish", "stored"]
    # It failed, and this attempt is on a connection that someone observes.
    assert made(NOTHING) == ["all"]


def test_what_recovers_from_its_statements_error_is_finished() -> None:
    log: list[str] = []
    made = execution(log)
    made.statement(NOTHING, NOTHING)
    assert not made.recovers(ValueError())
    assert made.recovers(KeyError())
    assert made(NOTHING) == ["rest"]
    assert log == ["begin 1", "finish", "stored"]


def test_work_and_a_database_without_such_a_statement_are_executed() -> None:
    for options in ({"work": lambda _db: None}, {"begin": False}):
        log: list[str] = []
        made = execution(log, **options)
        assert made.statement(NOTHING, NOTHING) is None
        assert made(NOTHING) == ["all"]
        assert log == ["execute"]
        error = ValueError()
        assert made.explain(error) is error
