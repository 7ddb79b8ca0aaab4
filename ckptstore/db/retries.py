"""Passing faults, tried again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from sqlalchemy import URL
from tenacity import AsyncRetrying, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ckptstore.db.error_mapping import is_driver_error, translate
from ckptstore.db.settings import DatabaseSettings
from ckptstore.errors import DatabaseUnavailable

T = TypeVar("T")


class Retries:
    """Retries passing faults within bounds, once the database was reached; before that, a fault is said at once."""

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self._url = url
        self._reached = False
        policy: dict[str, Any] = {
            "retry": retry_if_exception(self._passes),
            "stop": stop_after_delay(settings.retry_seconds),
            "wait": wait_random_exponential(multiplier=0.02, max=1.0),
            "reraise": True,
        }
        self._retrying = Retrying(**policy)
        self._async_retrying = AsyncRetrying(**policy)

    def _passes(self, exc: BaseException) -> bool:
        return self._reached and isinstance(exc, DatabaseUnavailable) and exc.transient

    def run(self, attempt: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                result = attempt()
            except Exception as exc:
                raise self._translated(exc) from exc
            self._reached = True
            return result

        try:
            # Nearly all work succeeds at once, and need not pay for the machinery of retrying.
            return translated()
        except DatabaseUnavailable as exc:
            if not self._passes(exc):
                raise
        return self._retrying(translated)

    async def run_async(self, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        async def translated() -> T:
            try:
                result = await attempt()
            except Exception as exc:
                raise self._translated(exc) from exc
            self._reached = True
            return result

        try:
            return await translated()
        except DatabaseUnavailable as exc:
            if not self._passes(exc):
                raise
        return await self._async_retrying(translated)

    def _translated(self, exc: Exception) -> Exception:
        return translate(exc, self._url) if is_driver_error(exc) else exc
