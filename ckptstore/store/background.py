"""Pruning by itself: in the background of a long-lived process, in one process of a cluster at a time."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ckptstore.db import sql
from ckptstore.db.handle import Db
from ckptstore.errors import InvalidPolicy, StoreClosed
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_progress import PruneCallbacks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.fork import in_child
from ckptstore.runtime.steps import Steps, drive
from ckptstore.store.store import Store

T = TypeVar("T")

logger = logging.getLogger(__name__)

_SETTING = "retention"
_MICROSECOND = timedelta(microseconds=1)
_SECOND = 1_000_000
# Of a process that died in a run; a living one renews its lease at half of the time.
_LEASE = 5 * 60 * _SECOND
_RETRY_SECONDS = 60.0
# How often it is looked whether a lease has to be renewed while one part of a run takes long.
_RENEWAL_SECONDS = 30.0
_LONGEST_WAIT_SECONDS = 24 * 3600.0


class Turn(NamedTuple):
    """Whether this process runs now, or else after how many microseconds to ask again."""

    mine: bool
    ask_again: int = 0


def acquire_lease(
    db: Db,
    holder: str,
    now: int,
    interval: int,
) -> Turn:
    """Take the lease if the last run was long enough ago and nobody else runs; or renew it, for whoever has it."""
    with db.transaction():
        noted = _noted(db)
        if noted.get("holder") not in (None, holder) and noted["until"] > now:
            return Turn(False, min(noted["until"] - now, interval))
        if noted.get("holder") != holder and now < noted.get("ran_at", now - interval) + interval:
            return Turn(False, noted["ran_at"] + interval - now)
        _note(db, {**noted, "holder": holder, "until": now + _LEASE})
        return Turn(True)


def release_lease(
    db: Db,
    holder: str,
    ran_at: int | None,
) -> None:
    """Give the lease back, and note when the run began, unless it failed."""
    with db.transaction():
        noted = _noted(db)
        if noted.get("holder") == holder:
            before = {"ran_at": noted["ran_at"]} if "ran_at" in noted else {}
            _note(db, before if ran_at is None else {"ran_at": ran_at})


def _noted(
    db: Db,
) -> dict[str, Any]:
    """What is noted of runs, locked until the transaction ends."""
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": "{}"}, "keep")
    found: dict[str, Any] = json.loads(db.run(sql.settings_table.lock_setting, {"name": _SETTING}).scalar_one())
    return found


def _note(
    db: Db,
    value: dict[str, Any],
) -> None:
    db.run(sql.settings_table.set_setting, {"name": _SETTING, "value": json.dumps(value)}, "replace")


class BackgroundRetention:
    """Runs a policy again and again: it prunes, collects objects, and gives free pages back.

    Args:
        store: where.
        policy: what stays.
        interval: from the beginning of a run to the next, over all processes on this database.
        now: the application's clock (microseconds since 1970, UTC).

    Raises:
        InvalidPolicy: the interval is not positive.
    """

    def __init__(self, store: Store, policy: RetentionPolicy, interval: timedelta, now: Callable[[], int]) -> None:
        if not isinstance(policy, RetentionPolicy):
            raise InvalidPolicy(f"retention must be a RetentionPolicy, got {type(policy).__name__}")
        if not isinstance(interval, timedelta) or interval <= timedelta(0):
            raise InvalidPolicy(f"retention_interval must be positive, and a timedelta; got {interval!r}")
        self._store = store
        self._policy = policy
        self._interval = interval // _MICROSECOND
        self._now = now
        self._stop = threading.Event()
        in_child(self._start_again)

    def start(self) -> None:
        """Begin, on a thread of its own; the first run is due at once, unless another process had one lately."""
        self._holder = secrets.token_hex(8)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="ckptstore-retention", daemon=True)
        self._thread.start()

    def _start_again(self) -> None:
        # A thread does not come along into a child of fork.
        if not self._stop.is_set():
            self.start()

    def close(self) -> None:
        """End after the transaction that is under way. Blocks; a second call does nothing."""
        self._stop.set()
        self._thread.join()

    def _loop(self) -> None:
        wait_seconds = 0.0
        while not self._stop.wait(wait_seconds):
            try:
                turn, _report = self.run_if_due()
                wait_seconds = min(turn.ask_again / _SECOND, _LONGEST_WAIT_SECONDS)
            except StoreClosed:
                return
            except Exception:
                # Whatever it was (the application's clock may fail too): growing without bound would be worse than trying again.
                wait_seconds = min(_RETRY_SECONDS, self._interval / _SECOND)
                logger.exception("retention failed; tried again in %.0f s", wait_seconds, extra={"event": "retention_failed"})

    def run_if_due(self) -> tuple[Turn, PruneReport | None]:
        """One run, if it is this process's turn."""
        began = self._now()
        turn = self._take_turn(began)
        if not turn.mine:
            return turn, None
        self._mine = True
        ended: int | None = None
        try:
            callbacks = PruneCallbacks(should_stop=self._should_stop)
            report = self._drive(run_maintenance(self._store, self._policy, self._now, callbacks))
            if not report.stopped:
                ended = began
            return Turn(True, max(0, began + self._interval - self._now())), report
        finally:
            drive(self._store.run_in_queue(partial(release_lease, holder=self._holder, ran_at=ended)))

    def _take_turn(self, now: int) -> Turn:
        self._renew_at = now + _LEASE // 2
        work = partial(acquire_lease, holder=self._holder, now=now, interval=self._interval)
        return drive(self._store.run_in_queue(work))

    def _should_stop(self) -> bool:
        self._keep_turn()
        return self._stop.is_set() or not self._mine

    def _keep_turn(self) -> None:
        """Renew the lease when it is time, or find that somebody else took it."""
        now = self._now()
        if self._mine and now >= self._renew_at:
            self._mine = self._take_turn(now).mine

    def _drive(self, steps: Steps[T]) -> T:
        return drive(steps, self._wait)

    def _wait(self, future: Future[Any]) -> Any:
        """Wait for a part of a run, and keep the lease meanwhile, however long it takes."""
        while True:
            self._keep_turn()
            try:
                return future.result(timeout=_RENEWAL_SECONDS)
            except TimeoutError:
                if future.done():
                    raise
