"""Settings of the database connection, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How a saver talks to its database.

    Args:
        pool_size: connections that work in parallel (PostgreSQL), or readers beside the one writer (SQLite).
        pool_recycle_seconds: connections older than this are replaced before use.
        pool_ping_after_seconds: a connection idle for longer is tested before use (PostgreSQL).
        busy_timeout_seconds: how long SQLite waits for another process's write to end.
        synchronous: SQLite's durability. `FULL` survives a power cut; `NORMAL` may lose the last commits in one.
        retry_seconds: how long transient faults (connection lost, deadlock, lock) are tried again.
        prepared_statements: off for poolers that give every transaction another server connection (pgbouncer in
            transaction mode); use `postgresql+psycopg://` then, since asyncpg can't do without.
        max_pending: writes that may wait in the queue; callers past it wait too.
        connect_args: handed to the driver as they are.
    """

    pool_size: int = 10
    pool_recycle_seconds: float = 1800.0
    pool_ping_after_seconds: float = 30.0
    busy_timeout_seconds: float = 30.0
    synchronous: Literal["FULL", "NORMAL", "EXTRA"] = "FULL"
    retry_seconds: float = 10.0
    prepared_statements: bool = True
    max_pending: int = 2_000
    connect_args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse settings that could never work.

        Raises:
            ValueError: a count below one, a negative time, or an unknown `synchronous`.
        """
        for name in ("pool_size", "max_pending"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        for name in ("pool_recycle_seconds", "pool_ping_after_seconds", "busy_timeout_seconds", "retry_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)!r}")
        if self.synchronous not in ("FULL", "NORMAL", "EXTRA"):
            raise ValueError(f"synchronous must be FULL, NORMAL or EXTRA, got {self.synchronous!r}")
