"""Load one whole checkpoint; without its segments where the cache has them, which takes PostgreSQL a third of the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ckptstore.db import sql
from ckptstore.db.abilities import Abilities
from ckptstore.db.connection import Db
from ckptstore.db.statement import Statements
from ckptstore.db.statement_work import Call, StatementWork
from ckptstore.reads.assemble import assemble
from ckptstore.records import LoadedCheckpoint, StateFormat
from ckptstore.values.cache import MemoryCache
from ckptstore.values.decode import Loaded, SegmentSet
from ckptstore.values.lru import Lru

_MAX_NAMESPACES = 10_000

# By whether it is the newest one, and whether its segments are read too.
_STATEMENTS = {
    (True, True): sql.checkpoints.newest_whole,
    (True, False): sql.checkpoints.newest_without_segments,
    (False, True): sql.checkpoints.exact_whole,
    (False, False): sql.checkpoints.exact_without_segments,
}


class CachedReads(Lru[tuple[str, str], None]):
    """The namespaces whose last read found all of its segments in the cache: then the next one is likely to.

    A conversation that one process serves is such a case, since what it writes is in the cache too. Of one that several processes serve
    in turn, each time something is new.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_NAMESPACES)
        #: Like `in`, without a call of Python code: every read asks.
        self.has = self._items.__contains__


class OneCheckpoint(StatementWork[Loaded[LoadedCheckpoint | None]]):
    """Work for the database: load the checkpoint with an id, or without an id the newest one of the namespace; None if there is none.

    Args:
        thread_id: of the checkpoint.
        checkpoint_ns: of the checkpoint.
        checkpoint_id: None for the newest one.
        state_format: what its channels mean.
        cache: of segments.
        cached_reads: decides whether the segments are looked for in the cache first.
    """

    def __init__(
        self,
        thread_id: str,
        checkpoint_ns: str,
        checkpoint_id: str | None,
        state_format: StateFormat,
        cache: MemoryCache,
        cached_reads: CachedReads,
    ) -> None:
        self._parameters = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}
        self._state_format = state_format
        self._cache = cache
        self._cached_reads = cached_reads
        self._namespace = thread_id, checkpoint_ns
        self._with_segments = not cached_reads.has(self._namespace)
        self._build = _STATEMENTS[checkpoint_id is None, self._with_segments]

    def __call__(self, db: Db) -> Loaded[LoadedCheckpoint | None]:
        """Read the rows, and assemble them."""
        loaded = self.result(db.run(self._build, self._parameters, self._state_format).found)
        return loaded if loaded is not None else self(db)

    def statement(self, statements: Statements, abilities: Abilities) -> Call:
        """The one statement that it takes, or the one that is tried first."""
        statement = statements[self._build, self._state_format]
        return Call(statement.text, statement.arguments(self._parameters))

    def result(self, rows: Sequence[Any]) -> Loaded[LoadedCheckpoint | None] | None:
        """Assemble the rows; None if segments are neither among them nor in the cache, which the next statement therefore reads too."""
        found, segments, values = assemble(rows, SegmentSet(self._cache, from_cache=not self._with_segments))
        if self._with_segments:
            self._note(segments)
        elif not segments.all_cached:
            self._with_segments = True
            self._build = _STATEMENTS[self._parameters["checkpoint_id"] is None, True]
            return None
        return Loaded(found[0] if found else None, segments, values)

    def _note(self, segments: SegmentSet) -> None:
        if segments.all_cached:
            self._cached_reads.put(self._namespace, None)
        else:
            self._cached_reads.drop(self._namespace)

    def recovers(self, exc: Exception) -> bool:
        """False: a `Db` would execute the same statement, and fail again."""
        return False

    def explain(self, exc: Exception) -> Exception:
        """The error itself: it has no other meaning here."""
        return exc
