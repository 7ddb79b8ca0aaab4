"""Background retention: a worker thread of a long-lived process prunes; of several processes on a database, one at a time."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.db.stored_settings import read_setting
from ckptstore.errors import InvalidPolicy, StoreClosed
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.future import Future
from ckptstore.runtime.steps import Steps, drive
from ckptstore.store.store import Store

T = TypeVar("T")

logger = logging.getLogger(__name__)

_SETTING = "retention"
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
# How often a process that runs renews its lease, also during a long operation.
_HEARTBEAT_SECONDS = 10
# How long the lease outlives a process that died during a run. A renewal waits for its turn in the queue, so it may be late.
_LEASE_MICROSECONDS = 4 * _HEARTBEAT_SECONDS * _SECOND
_RETRY_SECONDS = 60.0
_MAX_WAIT_SECONDS = 24 * 3600.0


class Lease(NamedTuple):
    """Whether this process holds the lease, and may run."""

    is_held: bool
    #: Microseconds until it makes sense to ask again.
    retry_after: int = 0


def acquire_lease(db: Db, holder: str, now: int, interval: int) -> Lease:
    """Take the lease if a run is due and no other process holds it; if `holder` holds it, renew it.

    Args:
        db: the database.
        holder: a name of this process.
        now: microseconds since 1970, UTC.
        interval: microseconds from the start of one run to the next.
    """
    with db.transaction():
        state = _lock_state(db)
        if state.get("holder") not in (None, holder) and state["until"] > now:
            return Lease(False, min(state["until"] - now, interval))
        if state.get("holder") != holder and now < state.get("ran_at", now - interval) + interval:
            return Lease(False, state["ran_at"] + interval - now)
        _store_state(db, {**state, "holder": holder, "until": now + _LEASE_MICROSECONDS})
        return Lease(True)


def release_lease(db: Db, holder: str, ran_at: int | None) -> None:
    """Give the lease back, and store when the run started; None for a run that failed or was stopped."""
    with db.transaction():
        state = _lock_state(db)
        if state.get("holder") == holder:
            before = {"ran_at": state["ran_at"]} if "ran_at" in state else {}
            _store_state(db, before if ran_at is None else {"ran_at": ran_at})


def _lock_state(db: Db) -> dict[str, Any]:
    """The stored state of the runs, locked until the transaction ends: `holder`, `until` and `ran_at`, each if there is one."""
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": "{}"}, "keep")
    return read_setting(db, _SETTING, dict, lock=True) or {}


def _store_state(db: Db, state: dict[str, Any]) -> None:
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(state)}, "replace")


class BackgroundRetention:
    """Runs maintenance by a policy at intervals, see `run_maintenance`.

    Args:
        store: the store to maintain.
        policy: what to keep.
        interval: time from the start of one run to the next, over all processes on this database.
        now: the application's clock (microseconds since 1970, UTC).

    Raises:
        InvalidPolicy: `policy` is not a policy, or the interval is not positive.
    """

    def __init__(self, store: Store, policy: RetentionPolicy, interval: timedelta, now: Callable[[], int]) -> None:
        if not isinstance(policy, RetentionPolicy):
            raise InvalidPolicy(f"retention must be a RetentionPolicy, got {type(policy).__name__}")
        if not isinstance(interval, timedelta) or interval <= timedelta(0):
            raise InvalidPolicy(f"retention_interval must be a positive timedelta, got {interval!r}")
        self._store = store
        self._policy = policy
        self._interval = interval // _MICROSECOND
        self._now = now
        self._stop = threading.Event()
        in_child(self._start_again)

    def start(self) -> None:
        """Start the worker thread. The first run is due at once, unless another process had one within the interval."""
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ckptstore-retention", daemon=True)
        self._thread.start()

    def _start_again(self) -> None:
        # Worker threads do not exist in the child of a fork.
        if not self._stop.is_set():
            self.start()

    def close(self, seconds: float) -> None:
        """Stop after the current transaction. Blocks, for so many seconds at most; a second call does nothing. On a worker thread."""
        self._stop.set()
        self._thread.join(seconds)

    def _loop(self) -> None:
        wait_seconds = 0.0
        while not self._stop.wait(wait_seconds):
            try:
                lease, _report = self.run_if_due()
                wait_seconds = min(lease.retry_after / _SECOND, _MAX_WAIT_SECONDS)
            except StoreClosed:
                return
            except Exception:
                # Any error (the application's clock may fail too): a retry is better than a database that grows without bound.
                wait_seconds = min(_RETRY_SECONDS, self._interval / _SECOND)
                logger.exception("background retention failed, will retry in %.0f s", wait_seconds, extra={"event": "retention_failed"})

    def run_if_due(self) -> tuple[Lease, PruneReport | None]:
        """Run once if a run is due and this process gets the lease.

        Returns:
            The lease, with the time until the next run, and the report of the run; None without one.
        """
        started = self._now()
        lease = self._acquire(started)
        if not lease.is_held:
            return lease, None
        self._holds_lease = True
        logger.info("this process has the lease for retention", extra={"event": "lease_acquired", "holder": self._holder})
        completed: int | None = None
        try:
            callbacks = PruneCallbacks(should_stop=self._should_stop)
            maintenance = partial(run_maintenance, self._store, self._policy, self._now, callbacks)
            report = self._drive(self._store.wherever(maintenance))
            if not report.stopped:
                completed = started
            return Lease(True, max(0, started + self._interval - self._now())), report
        finally:
            drive(self._store.run_in_queue(partial(release_lease, holder=self._holder, ran_at=completed)))
            if self._holds_lease:
                fields = {"event": "lease_released", "holder": self._holder, "completed": completed is not None}
                logger.info("this process gave back the lease for retention", extra=fields)

    def _acquire(self, now: int) -> Lease:
        self._renew_at = now + _HEARTBEAT_SECONDS * _SECOND
        work = partial(acquire_lease, holder=self._holder, now=now, interval=self._interval)
        return drive(self._store.run_in_queue(work))

    def _should_stop(self) -> bool:
        self._renew_lease()
        return self._stop.is_set() or not self._holds_lease

    def _renew_lease(self) -> None:
        """Renew the lease if it is time to, or notice that another process has taken it."""
        now = self._now()
        if self._holds_lease and now >= self._renew_at:
            self._holds_lease = self._acquire(now).is_held
            if not self._holds_lease:
                fields = {"event": "lease_lost", "holder": self._holder}
                logger.warning("another process took the lease for retention: this run stops", extra=fields)

    def _drive(self, steps: Steps[T]) -> T:
        return drive(steps, self._wait)

    def _wait(self, future: Future[Any]) -> Any:
        """Wait for an operation of the run, and renew the lease while it takes."""
        while True:
            self._renew_lease()
            try:
                return future.result(timeout=_HEARTBEAT_SECONDS)
            except TimeoutError:
                if future.done():
                    raise


def start_retention(
    store: Store, policy: RetentionPolicy | Mapping[str, Any], interval: timedelta, now: Callable[[], int]
) -> BackgroundRetention:
    """Run maintenance by a policy, or by a dict with its fields, at intervals from now on, see `BackgroundRetention`."""
    made = RetentionPolicy.from_dict(policy) if isinstance(policy, Mapping) else policy
    retention = BackgroundRetention(store, made, interval, now)
    retention.start()
    return retention
