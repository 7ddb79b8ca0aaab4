"""The connection of the last batch or read, kept for the next one: to take one from the pool costs as much as a short statement."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncConnection

# How long it is kept before it returns to the pool.
_KEEP_SECONDS = 1.0
# After this many batches it returns to the pool in any case, so that the pool can replace an old connection.
_MAX_BATCHES = 1_000


class KeptConnection:
    """Keeps one connection at a time; on the event loop that opened it."""

    def __init__(self) -> None:
        self._connection: AsyncConnection | None = None
        self._batches = 0
        #: Until when it is kept, by the loop's clock.
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._releasing: asyncio.Task[None] | None = None

    @property
    def count(self) -> int:
        """How many are kept: one or none."""
        return int(self._connection is not None)

    def take(self) -> AsyncConnection | None:
        """The connection, if one is kept; it is the caller's then."""
        connection, self._connection = self._connection, None
        return connection

    async def keep_or_close(self, connection: AsyncConnection) -> None:
        """Keep a connection after a batch or read, unless another one is kept."""
        self._batches += 1
        if self._connection is not None or connection.invalidated or not self._batches % _MAX_BATCHES:
            await connection.close()
            return
        loop = asyncio.get_running_loop()
        self._connection = connection
        self._until = loop.time() + _KEEP_SECONDS
        if self._timer is None:
            # One for many batches: to set one and cancel it each time costs as much as the rest of this.
            self._timer = loop.call_at(self._until, self._look)

    async def release(self) -> None:
        """Close the connection, if one is kept."""
        connection = self.take()
        if connection is not None:
            await connection.close()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        if self._connection is None:
            return
        if self._until > loop.time():
            self._timer = loop.call_at(self._until, self._look)
        else:
            self._releasing = loop.create_task(self.release())
