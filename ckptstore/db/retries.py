"""Retries of transient database errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import URL
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from ckptstore.db.error_mapping import is_driver_error, translate
from ckptstore.db.secrets import Secrets
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable
from ckptstore.monitoring.monitor import Monitor

T = TypeVar("T")

logger = logging.getLogger(__name__)

#: Until when something may be repeated, by the monotonic clock. It is asked again before each attempt.
Deadline = Callable[[], float]

_MAX_PAUSE_SECONDS = 1.0
_MAX_FILE_PAUSE_SECONDS = 0.05


def seconds_from_now(seconds: float) -> Deadline:
    """The deadline in so many seconds."""
    # A function of Python's own: it is called with every attempt.
    return partial(float, time.monotonic() + seconds)


class Retries:
    """Repeats an attempt that failed with a transient error, until a deadline.

    Before a server's first answer nothing is repeated: a wrong address is reported at once.

    Args:
        url: of the database, for messages.
        settings: its `connect_args` may hold secrets, which messages hide.
        monitor: counts the attempts that are repeated.
        on_file: whether it is SQLite, which has waited for the file's lock itself when an attempt fails.
    """

    def __init__(self, url: URL, settings: DatabaseSettings, monitor: Monitor, *, on_file: bool) -> None:
        self._url = url
        self._monitor = monitor
        self._secrets = Secrets(url, settings.connect_args)
        self._reached = on_file
        self._max_pause_seconds = _MAX_FILE_PAUSE_SECONDS if on_file else _MAX_PAUSE_SECONDS

    def _policy(self, deadline: Deadline) -> dict[str, Any]:
        """The arguments of tenacity. Nearly all savers repeat nothing: they are made when something failed."""
        return {
            "retry": retry_if_exception(self._is_transient),
            "wait": wait_random_exponential(multiplier=0.02, max=self._max_pause_seconds),
            "stop": partial(_is_too_late, deadline),
            "before_sleep": self._log_repeated,
            "reraise": True,
        }

    def run(self, deadline: Deadline, attempt: Callable[..., T], *args: Any) -> T:
        """Return what `attempt(*args)` returns.

        Args:
            deadline: no attempt begins after it, but for the first.
            attempt: a function.
            *args: its arguments.

        Raises:
            CkptStoreError: in place of a driver's error.
        """
        try:
            result = attempt(*args)
        except Exception as exc:
            self._note_repetition(self._transient(exc, deadline))
            repeated: T = Retrying(**self._policy(deadline))(self._once, attempt, *args)
            return repeated
        # Nearly all work succeeds at the first attempt, without the cost of the retry machinery.
        self._reached = True
        return result

    async def run_async(self, deadline: Deadline, attempt: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """See `run`."""
        try:
            result = await attempt(*args)
        except Exception as exc:
            self._note_repetition(self._transient(exc, deadline))
            return await AsyncRetrying(**self._policy(deadline))(self._once_async, attempt, *args)
        self._reached = True
        return result

    def _transient(self, exc: Exception, deadline: Deadline) -> Exception:
        """The error, if what failed is to be repeated; else it is raised."""
        error = self._translated(exc)
        if not self._is_transient(error) or time.monotonic() >= deadline():
            raise error from self._secrets.cause(exc)
        return error

    def _log_repeated(self, state: RetryCallState) -> None:
        if state.outcome is not None and (error := state.outcome.exception()) is not None:
            self._note_repetition(error)

    def _note_repetition(self, error: BaseException) -> None:
        self._monitor.retried("database")
        fields = {"event": "database_retry", "error": type(error).__name__}
        logger.info("an attempt failed, and is repeated: %s", error, extra=fields)

    def _once(self, attempt: Callable[..., T], *args: Any) -> T:
        try:
            result = attempt(*args)
        except Exception as exc:
            raise self._translated(exc) from self._secrets.cause(exc)
        self._reached = True
        return result

    async def _once_async(self, attempt: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        try:
            result = await attempt(*args)
        except Exception as exc:
            raise self._translated(exc) from self._secrets.cause(exc)
        self._reached = True
        return result

    def _is_transient(self, exc: BaseException) -> bool:
        return self._reached and isinstance(exc, DatabaseUnavailable) and exc.transient

    def _translated(self, exc: Exception) -> Exception:
        return translate(exc, self._url, self._secrets.hide) if is_driver_error(exc) else exc


def _is_too_late(deadline: Deadline, state: RetryCallState) -> bool:
    """Whether the next attempt would begin after the deadline."""
    return time.monotonic() + state.upcoming_sleep >= deadline()
