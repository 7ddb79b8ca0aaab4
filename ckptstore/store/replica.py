"""Reads that may be some seconds old, on a standby of the database: what `read_url` is for.

What it can't answer, the primary answers: while it can't be reached, while it has another schema, and while it is too far behind.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import NamedTuple, TypeVar

from ckptstore.db import schema, sql
from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner, Work
from ckptstore.db.secrets import masked
from ckptstore.errors import CkptStoreError, DatabaseUnavailable, InvalidConfig, SchemaOutOfDate, SchemaTooNew, StatementRefused
from ckptstore.monitoring.records import ReplicaStats
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive
from ckptstore.runtime.worker_threads import run_in_thread

T = TypeVar("T")

logger = logging.getLogger(__name__)

# How often the lag is measured while the standby is read, and how long one that failed is left alone.
_INTERVAL_SECONDS = 10.0

_UNUSABLE = (DatabaseUnavailable, SchemaOutOfDate, SchemaTooNew)


class _Position(NamedTuple):
    """Where the primary's log ends."""

    text: str
    #: The primary's clock, in microseconds since 1970.
    now: int


class Replica:
    """A standby, and whether it can be read just now.

    Args:
        runner: of the standby. It should not repeat anything: the primary is there.
        primary: of the database that the standby follows.
        max_lag_seconds: how far behind it may be.
        reads_newest: whether single checkpoints are read from it too, the newest one of a thread included.
    """

    def __init__(self, runner: Runner, primary: Runner, max_lag_seconds: float, *, reads_newest: bool) -> None:
        self.reads_newest = reads_newest
        self._runner = runner
        self._primary = primary
        self._max_lag_seconds = max_lag_seconds
        self._reads = self._fallbacks = 0
        self._reset()
        # A child must not wait for a measurement that a worker thread of its parent was making.
        in_child(self._reset)

    def _reset(self) -> None:
        self._checked = False
        self._is_behind = False
        self._avoided_until = 0.0
        self._lag_seconds: float | None = None
        self._measuring: Future[None] | None = None
        self._measured_at = 0.0

    def stats(self) -> ReplicaStats:
        """What was read from it, and how far behind it was when that was last measured."""
        return ReplicaStats(reads=self._reads, fallbacks=self._fallbacks, lag_seconds=self._lag_seconds)

    def read(self, work: Work[T]) -> Steps[T]:
        """Run work that reads, on the standby if it can be read, else on the primary.

        Raises:
            InvalidConfig: it is no standby of this database.
        """
        runner = yield from self.usable_runner()
        if runner is not None:
            try:
                result: T = yield runner.read(work)
            except _UNUSABLE as exc:
                self._avoid(exc)
            else:
                self._reads += 1
                return result
        self._fallbacks += 1
        answer: T = yield self._primary.read(work)
        return answer

    def usable_runner(self) -> Steps[Runner | None]:
        """What runs work on the standby, if it can be read just now; see `read` for what is raised."""
        if time.monotonic() < self._avoided_until:
            return None
        if not self._checked:
            try:
                yield from self._check()
            except _UNUSABLE as exc:
                self._avoid(exc)
                return None
        measuring = self._measuring
        if measuring is None or (measuring.done() and time.monotonic() >= self._measured_at + _INTERVAL_SECONDS):
            is_first, self._measured_at = measuring is None, time.monotonic()
            measuring = self._measuring = run_in_thread(lambda: drive(self._measure()), "ckptstore-replica")
            if is_first:
                # Later ones go on while the standby is read by what is known.
                yield measuring
        return None if self._is_behind else self._runner

    def _avoid(self, exc: CkptStoreError) -> None:
        self._avoided_until, self._checked = time.monotonic() + _INTERVAL_SECONDS, False
        fields = {"event": "replica_not_used", "error": type(exc).__name__}
        logger.warning("the replica can't be read, the primary is read instead: %s", exc, extra=fields)

    # --- which database it is

    def _check(self) -> Steps[None]:
        """Compare the schema and the cluster with the primary's."""
        yield self._runner.read(schema.require_head)
        ours: str | None = yield self._primary.read(_cluster_identifier)
        theirs: str | None = yield self._runner.read(_cluster_identifier)
        if ours and theirs and ours != theirs:
            raise InvalidConfig(
                f"read_url names {masked(self._runner.url)}, which is no standby of {masked(self._primary.url)}: its listings would "
                "be those of another database; name a streaming standby, or leave read_url out"
            )
        self._checked = True

    # --- how far it is behind

    def _measure(self) -> Steps[None]:
        try:
            position: _Position = yield self._primary.read(_primary_position)
            lag: float | None = yield self._runner.read(partial(_lag_seconds, position=position))
        except CkptStoreError as exc:
            # While the primary is away, its standby is all there is.
            self._lag_seconds = None
            lost = {"event": "replica_lag_unknown", "error": type(exc).__name__}
            logger.warning("how far the replica is behind could not be measured: %s", exc, extra=lost)
            return
        self._lag_seconds = lag
        was_behind, self._is_behind = self._is_behind, lag is not None and lag > self._max_lag_seconds
        if self._is_behind and not was_behind:
            fields = {"event": "replica_behind", "lag_seconds": lag}
            logger.warning("the replica is %.1f s behind: the primary is read instead", lag, extra=fields)
        elif was_behind and not self._is_behind:
            logger.info("the replica has caught up, and is read again", extra={"event": "replica_caught_up", "lag_seconds": lag})

    # --- closing

    def close(self, seconds: float) -> None:
        """Close its connections; see `Runner.close`."""
        self._runner.close(seconds)


def _cluster_identifier(db: Db) -> str | None:
    try:
        return str(db.run(sql.replication.cluster_identifier).scalar_one())
    except StatementRefused:
        # Some providers let nobody ask.
        return None


def _primary_position(db: Db) -> _Position:
    return _Position(*db.run(sql.replication.primary_position).all()[0])


def _lag_seconds(db: Db, position: _Position) -> float | None:
    """How old what a standby shows is; 0 for one that has all, None for one that does not say."""
    in_recovery, bytes_behind, replayed_at = db.run(sql.replication.standby_position, {"position": position.text}).all()[0]
    if not in_recovery or (bytes_behind is not None and bytes_behind <= 0):
        return 0.0
    return None if replayed_at is None else max(0.0, (position.now - replayed_at) / 1_000_000)
