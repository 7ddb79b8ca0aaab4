"""Stores a batch on a distributed PostgreSQL: the writes of each node by one call of a function there (`sql.node_function`).

What it can't store, and what is on a shard without functions, is stored thread by thread: each in a transaction of several statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ckptstore.db import sql
from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.distribution import shard_map_of
from ckptstore.db.sql.batch_function import array_literal
from ckptstore.db.sql.node_function import DECLINED
from ckptstore.db.sqlstates import sqlstate_of
from ckptstore.db.statement import Statements
from ckptstore.db.statement_work import Call
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.batch import LOCK_SECONDS
from ckptstore.writes.commit_postgres import NO_FUNCTION, UNIQUE_VIOLATION, ExplainedErrors, ordinary_writes
from ckptstore.writes.function_parameters import Data, FunctionParameters
from ckptstore.writes.replace import store_writes
from ckptstore.writes.rows import new_generation, thread_rows


class ShardsCommit(ExplainedErrors):
    """One attempt to store a batch, see `commit_postgres.BatchCommit`.

    Args:
        batch: the batch.
        lock_seconds: how long it waits for the row of a thread that another transaction has locked.
    """

    def __init__(self, batch: Sequence[EncodedWrite], lock_seconds: float) -> None:
        self._batch = batch
        self._lock_seconds = lock_seconds
        self._left = dict(enumerate(batch))
        self._calls: list[_NodeCall] = []
        self._abilities: Abilities | None = None
        #: Whether a shard is not where it was.
        self._has_moved = False

    def statement(self, statements: Statements, abilities: Abilities) -> Call | None:
        """The call for the first node; None if there is nothing to call."""
        self._abilities = abilities
        self._calls = _calls_by_node(self._left, abilities)
        return self._call(statements, abilities)

    def _call(self, statements: Statements, abilities: Abilities) -> Call | None:
        if not self._calls or abilities.shard_map is None:
            return None
        statement = statements[sql.node_function.commit_on_node, abilities.shard_map.schema]
        return Call(statement.text, statement.arguments(self._calls[0].parameters(self._lock_seconds)))

    def answered(self, rows: Sequence[Any]) -> bool:
        """Take the answer of the first call that is left; returns whether everything is stored."""
        ((answers,),) = rows
        for number in self._calls.pop(0).stored(answers):
            del self._left[number]
        self._has_moved |= DECLINED in answers.split(";")
        return not self._left

    def finish(self, db: Db) -> Sequence[MissingParts | None]:
        """Store what is left."""
        try:
            self._call_others(db)
            missing = self._store_others(db)
        except Exception as exc:
            self.raise_explained(exc)
        if self._has_moved and self._abilities is not None:
            self._abilities.shard_map = shard_map_of(db)
        return [missing.get(number) for number in range(len(self._batch))]

    def _call_others(self, db: Db) -> None:
        while (call := self._call(db.statements, db.abilities)) is not None:
            try:
                self.answered(db.execute(*call).all())
            except Exception as exc:
                if not self.recovers(exc):
                    raise

    def _store_others(self, db: Db) -> dict[int, MissingParts]:
        threads: dict[str, dict[int, EncodedWrite]] = {}
        for number, write in self._left.items():
            threads.setdefault(write.record.key.thread_id, {})[number] = write
        missing: dict[int, MissingParts] = {}
        for thread_id, writes in threads.items():
            # A batch that waits longer than the others do is of one thread, and waits as long as its attempt may take.
            missing |= _store_in_transaction(db, thread_id, writes, wait=self._lock_seconds > LOCK_SECONDS)
        return missing

    def recovers(self, exc: Exception) -> bool:
        """Whether `finish` stores the batch in spite of an error of the function.

        It does where a row existed that this batch did not insert, and where the function was dropped.
        """
        state = sqlstate_of(exc)
        if state in NO_FUNCTION and self._abilities is not None:
            self._abilities.shard_map = None
        elif state != UNIQUE_VIOLATION:
            return False
        self._calls.pop(0)
        return True


class _NodeCall:
    """The writes of a batch that are on one node, by their shards."""

    def __init__(self) -> None:
        self._shards: dict[int, dict[int, EncodedWrite]] = {}
        self._parameters: list[FunctionParameters] = []

    def add(self, shard: int, number: int, write: EncodedWrite) -> None:
        self._shards.setdefault(shard, {})[number] = write

    def parameters(self, lock_seconds: float) -> dict[str, Any]:
        """The parameters of the function; shards come in the order of their ids, in which all lock them."""
        data, ids, parts = Data(), sorted(self._shards), list[str]()
        self._parameters = [FunctionParameters(self._shards[shard], data) for shard in ids]
        for shard, parameters in zip(ids, self._parameters, strict=True):
            parts += (_leases(self._shards[shard].values()), *(array_literal(part) if part else "" for part in parameters.parts.values()))
        return {
            "for_thread": next(iter(self._shards[ids[0]].values())).record.key.thread_id,
            "wait_for_locks": f"{round(lock_seconds * 1000)}ms",
            "new_generation": new_generation(),
            "data": b"".join(data.slices),
            "shards": f"{{{','.join(map(str, ids))}}}",
            "parts": array_literal(parts),
        }

    def stored(self, answers: str) -> set[int]:
        """The numbers of the writes that were stored, from the function's answers."""
        stored: set[int] = set()
        for answer, parameters in zip(answers.split(";"), self._parameters, strict=True):
            if answer != DECLINED:
                stored |= parameters.stored(answer)
        return stored


def _calls_by_node(writes: Mapping[int, EncodedWrite], abilities: Abilities) -> list[_NodeCall]:
    if abilities.shard_map is None:
        return []
    nodes: dict[int, _NodeCall] = {}
    for number, write in ordinary_writes(writes).items():
        shard = abilities.shard_map.shard_of(write.record.key.thread_id)
        if shard is not None:
            nodes.setdefault(shard.node, _NodeCall()).add(shard.id, number, write)
    return list(nodes.values())


def _leases(writes: Iterable[EncodedWrite]) -> str:
    held = sorted({(write.record.key.thread_id, write.fence) for write in writes if write.fence is not None})
    return array_literal([each for lease in held for each in lease]) if held else ""


def _store_in_transaction(db: Db, thread_id: str, writes: Mapping[int, EncodedWrite], *, wait: bool) -> dict[int, MissingParts]:
    with db.transaction():
        if not wait:
            db.run(sql.threads.lock_free_thread, {"thread_id": thread_id})
        # Locks the thread's row before any other row of the thread is read.
        db.insert(sql.tables.THREAD, "add_up", thread_rows(writes.values(), not_new={write.record.key for write in writes.values()}))
        missing = store_writes(db, writes)
        if missing:
            db.run(sql.threads.delete_empty_thread, {"thread_id": thread_id})
    return missing
