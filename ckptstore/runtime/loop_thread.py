"""An event loop on a worker thread of its own, for async libraries that synchronous and asynchronous callers share."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from ckptstore.errors import StoreClosed

T = TypeVar("T")


def selector_loop() -> asyncio.AbstractEventLoop:
    """A new event loop that can watch sockets. The default one of Windows, the ProactorEventLoop, can't, so psycopg refuses it."""
    loop = asyncio.new_event_loop()
    if type(loop).add_reader is not asyncio.AbstractEventLoop.add_reader:
        return loop
    loop.close()
    return asyncio.SelectorEventLoop()


class LoopThread:
    """Runs coroutines; the worker thread starts with the first one.

    Args:
        name: the worker thread's name, for debuggers and logs.
        new_loop: makes the loop; by default of the platform's kind.
    """

    def __init__(self, name: str, new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self._name = name
        self._new_loop = new_loop
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._refusal: str | None = None

    def run(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; the future receives its result.

        Raises:
            StoreClosed: `refuse` or `close` was called.
        """
        with self._lock:
            if self._refusal is not None:
                coroutine.close()
                raise StoreClosed(self._refusal)
            if self._loop is None:
                self._loop = self._new_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def refuse(self, why: str) -> None:
        """Make every later `run` raise `StoreClosed` with this message."""
        with self._lock:
            self._refusal = why

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Refuse new coroutines, wait for the running ones, run `last` and stop. Blocks; a second call does nothing."""
        with self._lock:
            loop, self._loop, self._refusal = self._loop, None, str(StoreClosed())
        if loop is None:
            last.close()
            return
        try:
            asyncio.run_coroutine_threadsafe(self._finish(last), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            assert self._thread is not None
            self._thread.join()
            loop.close()

    @staticmethod
    async def _finish(last: Coroutine[Any, Any, None]) -> None:
        # Each has a caller that waits for it: coroutines end before their connections are closed.
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*under_way, return_exceptions=True)
        await last
