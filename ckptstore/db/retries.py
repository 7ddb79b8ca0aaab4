"""Retries of transient database errors."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy import URL
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ckptstore.db.error_mapping import is_driver_error, translate
from ckptstore.db.secrets import Secrets
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable

T = TypeVar("T")


class Retries:
    """Repeats an attempt that failed with a transient error, for `settings.retry_seconds` at most.

    Before the first success nothing is repeated: a wrong address is reported at once.
    """

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self._url = url
        self._secrets = Secrets(url, settings.connect_args)
        self._reached = False
        policy: dict[str, Any] = {
            "retry": retry_if_exception(self._is_transient),
            "stop": stop_after_delay(settings.retry_seconds),
            "wait": wait_random_exponential(multiplier=0.02, max=1.0),
            "reraise": True,
        }
        self._retrying = Retrying(**policy)
        self._async_retrying = AsyncRetrying(**policy)

    def run(self, attempt: Callable[..., T], *args: Any) -> T:
        """Return what `attempt(*args)` returns.

        Raises:
            CkptStoreError: in place of a driver's error.
        """
        try:
            result = attempt(*args)
        except Exception as exc:
            self._raise_unless_transient(exc)
            repeated: T = self._retrying(self._once, attempt, *args)
            return repeated
        # Nearly all work succeeds at the first attempt, without the cost of the retry machinery.
        self._reached = True
        return result

    async def run_async(self, attempt: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
        """See `run`."""
        try:
            result = await attempt(*args)
        except Exception as exc:
            self._raise_unless_transient(exc)
            return await self._async_retrying(self._once_async, attempt, *args)
        self._reached = True
        return result

    def _raise_unless_transient(self, exc: Exception) -> None:
        error = self._translated(exc)
        if not self._is_transient(error):
            raise error from self._secrets.cause(exc)

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
