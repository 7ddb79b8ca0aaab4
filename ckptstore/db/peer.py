"""The other end of a driver's connection: whether bytes move in either direction, and how to close without waiting for it.

A firewall that lost its state, or a host that lost its power, drops what it is sent and sends nothing: neither driver notices by itself.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

logger = logging.getLogger(__name__)

# A connection that was silent for so long is tested by the system, in these steps; after the last one it is closed.
_KEEPALIVE_IDLE_SECONDS = 30
_KEEPALIVE_INTERVAL_SECONDS = 10
_KEEPALIVE_COUNT = 3
# How long the request to cancel a statement may take, on a connection of its own, before the statement is left to itself.
_CANCEL_SECONDS = 1.0
# Bytes that the peer has acknowledged, and bytes received from it, in Linux's `struct tcp_info`.
_BYTES_ACKED_AND_RECEIVED = struct.Struct("=120xQQ")


@contextmanager
def _socket_of(driver_connection: Any) -> Iterator[Any]:
    """The socket of a connection of asyncpg or psycopg."""
    transport = getattr(driver_connection, "_transport", None)
    if transport is not None:
        yield transport.get_extra_info("socket")
        return
    borrowed = socket.socket(fileno=driver_connection.pgconn.socket)
    try:
        yield borrowed
    finally:
        borrowed.detach()


def keep_alive(driver_connection: Any) -> None:
    """Let TCP keepalive detect an unreachable peer within a minute, also while a statement runs long; no effect on a Unix socket."""
    options = {
        "TCP_KEEPIDLE": _KEEPALIVE_IDLE_SECONDS,
        "TCP_KEEPINTVL": _KEEPALIVE_INTERVAL_SECONDS,
        "TCP_KEEPCNT": _KEEPALIVE_COUNT,
    }
    with suppress(OSError), _socket_of(driver_connection) as sock:
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in options.items():
                # Not every system has all of them.
                if hasattr(socket, name):
                    sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def bytes_moved(driver_connection: Any) -> int:
    """How many bytes the peer has taken and sent since the connection was opened; always 0 where the system does not report it."""
    with suppress(Exception), _socket_of(driver_connection) as sock:
        if hasattr(socket, "TCP_INFO") and sock.family in (socket.AF_INET, socket.AF_INET6):
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED_AND_RECEIVED.size)
            return sum(_BYTES_ACKED_AND_RECEIVED.unpack(info))
    return 0


async def end_connection(driver_connection: Any) -> None:
    """Cancel the statement that runs on a connection, through another one and within a bound, then close it without a protocol message.

    A caller that waits for an answer on it gets the driver's error for a lost connection. A statement that is not cancelled may still be
    executed, as after any loss of a connection.
    """
    try:
        await asyncio.wait_for(_cancel_statement(driver_connection), _CANCEL_SECONDS)
    except Exception as exc:
        # Only its class: a driver's message may repeat what it connects with.
        fields = {"event": "statement_not_cancelled"}
        logger.info("a statement on a silent connection was not cancelled (%s)", type(exc).__name__, extra=fields)
    abort(driver_connection)


async def _cancel_statement(driver_connection: Any) -> None:
    if hasattr(driver_connection, "pgconn"):
        from psycopg import capabilities

        # Before 17, libpq waits for the peer without a bound, and psycopg holds the interpreter's lock meanwhile: the process freezes.
        capabilities.has_cancel_safe(check=True)
        await driver_connection.cancel_safe(timeout=_CANCEL_SECONDS)
    else:
        # What asyncpg does itself if a caller is cancelled; there it would also wait for the answer.
        await driver_connection._cancel(asyncio.get_running_loop().create_future())


def abort(driver_connection: Any) -> None:
    """Close a connection at once; what waits for its peer gets the driver's error for a lost connection."""
    with suppress(Exception):
        if hasattr(driver_connection, "pgconn"):
            with _socket_of(driver_connection) as sock:
                sock.shutdown(socket.SHUT_RDWR)
        else:
            driver_connection.terminate()
            # Also one that is being closed already, and waits for the peer.
            driver_connection._transport.abort()
