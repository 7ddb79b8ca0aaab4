"""Settings of the database connection, validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ckptstore.errors import InvalidConfig, require_number

# Shorter than the half minute that Kubernetes leaves a process to end.
CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """How a saver connects to its database.

    Args:
        pool_size: number of connections (PostgreSQL), or of reading connections in addition to the one that writes (SQLite).
        pool_recycle_seconds: connections older than this are replaced before use.
        pool_ping_after_seconds: a connection idle for longer is tested before use (PostgreSQL).
        attempt_seconds: how long a server may send nothing while an attempt waits for it, connecting included (PostgreSQL). Then the
            statement is cancelled, the connection is discarded, and the attempt is repeated on another one. A transfer under way is
            not silence. Connections that are not used for so long within a transaction are ended by the server.
        long_attempt_seconds: the same for what may run long: searches over many threads, deletes, copies, prunes, verification,
            collection. Upgrades and VACUUM have no such bound: there, TCP keepalive detects within a minute that the server is unreachable.
        busy_timeout_seconds: how long one attempt waits for another process to release SQLite's write lock; never longer than what is
            left of `retry_seconds`.
        synchronous: SQLite's durability. `FULL` survives a power cut; `NORMAL` may lose the last commits in a power cut.
        retry_seconds: the time until an error. Work is repeated after transient faults (connection lost, deadlock, lock) until the
            database has not answered for so long since the call: writes that wait behind others which succeed keep all of their time.
            Uploads of large values have their own, see `BlobSettings`. With 0, one attempt is made. An attempt on a server that sends
            nothing ends at that time too, or a second after it began if that is later. What may run long (`long_attempt_seconds`)
            continues: there the error may come so much later.
        close_seconds: how long closing waits for what was accepted. What is not stored by then fails with `StoreClosed`.
        prepared_statements: set it to False for poolers that may use another server connection for each transaction (pgbouncer in
            transaction mode), and use `postgresql+psycopg://`, since asyncpg always prepares statements.
        max_pending: the largest number of writes in the queue; further callers wait until there is room.
        connect_args: passed to the driver unchanged, and never shown.
    """

    pool_size: int = 10
    pool_recycle_seconds: float = 1800.0
    pool_ping_after_seconds: float = 30.0
    attempt_seconds: float = 5.0
    long_attempt_seconds: float = 60.0
    busy_timeout_seconds: float = 30.0
    synchronous: Literal["FULL", "NORMAL", "EXTRA"] = "FULL"
    retry_seconds: float = 10.0
    close_seconds: float = CLOSE_SECONDS
    prepared_statements: bool = True
    max_pending: int = 2_000
    connect_args: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InvalidConfig: a count below one, a negative time, a bound of zero for attempts, an unknown `synchronous`, or something else
                than a number where there has to be one.
        """
        for name in ("pool_size", "max_pending"):
            require_number(name, getattr(self, name), 1, whole=True)
        for name in (name for name in self.__slots__ if name.endswith("_seconds")):
            require_number(name, getattr(self, name), 0)
        if not 0 < self.attempt_seconds <= self.long_attempt_seconds:
            bounds = f"{self.attempt_seconds!r} and {self.long_attempt_seconds!r}"
            raise InvalidConfig(f"attempt_seconds must be above 0 and not above long_attempt_seconds, got {bounds}")
        if self.synchronous not in ("FULL", "NORMAL", "EXTRA"):
            raise InvalidConfig(f"synchronous must be FULL, NORMAL or EXTRA, got {self.synchronous!r}")


#: The default, which is checked once a process.
DEFAULT_SETTINGS = DatabaseSettings()
