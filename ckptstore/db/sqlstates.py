"""What each SQLSTATE of a server means for an attempt: whether to repeat it, and whether its connection stays usable.

`docs/errors.md` shows this table; a test compares the two. Source: PostgreSQL's appendix A, and the code of PgBouncer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


class Discard(Enum):
    """Which connections are never used again after a fault."""

    NONE = "none"
    #: The connection that reported the fault; each of the others is tested before its next use.
    ONE = "one"
    #: All connections that were open: each would pass a test, and then fail in the same way.
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Fault:
    """What a SQLSTATE means.

    Attributes:
        brought_by: where it comes from, for the documentation.
        transient: whether the attempt is repeated, for `DatabaseSettings.retry_seconds` at most.
        discard: which connections are discarded.
        way_out: what the user can do, for the message; empty if the server's own message has it.
    """

    brought_by: str
    transient: bool = True
    discard: Discard = Discard.NONE
    way_out: str = ""


_POOLER = (
    "a pooler in transaction mode, such as pgbouncer, needs a postgresql+psycopg:// URL and DatabaseSettings(prepared_statements=False)"
)

#: By code (5 characters) or class (2 characters); a code takes precedence over its class. Every other SQLSTATE is `StatementRefused`.
FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "08": Fault("a connection that broke or was refused; most of PgBouncer's own messages (08P01)", discard=Discard.ONE),
        "0A000": Fault("a plan older than a change of the schema; a feature that the server lacks is refused", discard=Discard.ONE),
        "25006": Fault(
            "a write on a server that is read-only: a standby, or a primary that was demoted",
            discard=Discard.ALL,
            way_out="connect to the primary, for instance with target_session_attrs=read-write in the URL",
        ),
        "25P02": Fault("a transaction that failed earlier and was never rolled back, as behind a pooler", discard=Discard.ONE),
        "25P03": Fault("idle_in_transaction_session_timeout", discard=Discard.ONE),
        "25P04": Fault("transaction_timeout", discard=Discard.ONE, way_out="raise transaction_timeout for this role"),
        "26000": Fault("a prepared statement that another server connection has, behind a pooler", discard=Discard.ONE, way_out=_POOLER),
        "28": Fault("a wrong password, or an address that the server does not admit", transient=False),
        "3D000": Fault("a database that does not exist", transient=False),
        "40": Fault("a serialization failure, a deadlock, or a query that conflicts with a standby's recovery"),
        "40003": Fault("a statement of which nobody knows whether it completed", discard=Discard.ONE),
        "42P05": Fault("a prepared statement that exists already, behind a pooler", discard=Discard.ONE, way_out=_POOLER),
        "53": Fault("too little memory, or a limit of the server"),
        "53100": Fault("a full disk", transient=False),
        "53300": Fault("too many connections", way_out="lower pool_size, or raise max_connections"),
        "53400": Fault("a configured limit", transient=False),
        "55006": Fault("an object that is in use"),
        "55P03": Fault("a lock that was not available, lock_timeout"),
        "57": Fault("an operator's intervention", discard=Discard.ONE),
        "57014": Fault("a cancelled statement: statement_timeout, or an operator", way_out="if it recurs, raise statement_timeout"),
        "57P01": Fault("a shutdown, a restart or a failover, pg_terminate_backend", discard=Discard.ONE),
        "57P02": Fault("a crash of another server process", discard=Discard.ONE),
        "57P03": Fault("a server that is starting or stopping", discard=Discard.ONE),
        "57P04": Fault("a database that was dropped", transient=False, discard=Discard.ONE),
        "57P05": Fault("idle_session_timeout", discard=Discard.ONE),
        "58": Fault("an error of the server's operating system; pgpool's and Odyssey's own messages", discard=Discard.ONE),
        "58P01": Fault("a file of the server that is missing", transient=False),
        "58P02": Fault("a file of the server that exists already", transient=False),
        "72000": Fault("a snapshot that is too old"),
        "XX": Fault("an internal error of the server; messages of managed poolers and proxies", discard=Discard.ONE),
        "XX001": Fault("corrupted data", transient=False),
        "XX002": Fault("a corrupted index", transient=False, way_out="run REINDEX"),
    }
)

# A plan older than a change of the schema: PostgreSQL's message and asyncpg's, and, whatever the language, the server's function.
_STALE_PLAN_STATE = "0A000"
_STALE_PLAN = ("cached plan must not change", "cached statement plan is invalid")
_STALE_PLAN_FUNCTION = "RevalidateCachedQuery"


def sqlstate_of(error: BaseException) -> str:
    """The SQLSTATE of a driver's error; empty if it has none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def fault_of(error: BaseException) -> Fault | None:
    """What a driver's error means by its SQLSTATE; None if it has none, or one that is not in the table."""
    state = sqlstate_of(error)
    if state in ("", _STALE_PLAN_STATE):
        # asyncpg finds some stale plans itself, without a SQLSTATE.
        return FAULTS[_STALE_PLAN_STATE] if _is_stale_plan(error) else None
    return FAULTS.get(state) or FAULTS.get(state[:2])


def _is_stale_plan(error: BaseException) -> bool:
    raised_by = {_server_function(cause) for cause in (error, error.__cause__) if cause is not None}
    return _STALE_PLAN_FUNCTION in raised_by or any(message in str(error) for message in _STALE_PLAN)


def _server_function(error: BaseException) -> str | None:
    """The function of the server that raised an error, as psycopg or asyncpg tells it."""
    function: str | None = getattr(getattr(error, "diag", None), "source_function", None) or getattr(error, "server_source_function", None)
    return function
