"""The other end of a connection."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from ckptstore.db.peer import abort, bytes_moved, end_connection, keep_alive


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as ours:
        theirs, _ = listener.accept()
        ours.settimeout(30)
        theirs.settimeout(30)
        with theirs:
            yield ours, theirs


def driver_connection(kind: str, sock: socket.socket) -> Any:
    """Holds a socket as a connection of asyncpg or psycopg does."""
    if kind == "psycopg":
        return SimpleNamespace(pgconn=SimpleNamespace(socket=sock.fileno()))
    return SimpleNamespace(_transport=SimpleNamespace(get_extra_info=lambda _name: sock))


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="this system does not tell how many bytes were moved")
@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_bytes_of_both_directions_count_when_they_arrived(pair: tuple[socket.socket, socket.socket], kind: str) -> None:
    ours, theirs = pair
    connection = driver_connection(kind, ours)
    before = bytes_moved(connection)
    theirs.sendall(b"answer")
    assert ours.recv(100) == b"answer"
    after_answer = bytes_moved(connection)
    assert after_answer >= before + len(b"answer")
    ours.sendall(b"question")
    assert theirs.recv(100) == b"question"
    while bytes_moved(connection) < after_answer + len(b"question"):
        # The acknowledgement is on its way.
        pass
    # The socket still belongs to the driver.
    assert ours.fileno() != -1


@pytest.mark.parametrize("kind", ["asyncpg", "psycopg"])
def test_the_system_tests_a_silent_connection(pair: tuple[socket.socket, socket.socket], kind: str) -> None:
    keep_alive(driver_connection(kind, pair[0]))
    assert pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_a_unix_socket_is_left_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        keep_alive(driver_connection("asyncpg", ours))
        assert not ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert bytes_moved(driver_connection("asyncpg", ours)) == 0


@pytest.mark.parametrize("version", [160003, 170000])
async def test_a_libpq_that_would_block_the_process_is_not_asked_to_cancel(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(psycopg.pq, "version", lambda: version)
    monkeypatch.setattr(psycopg.capabilities, "_cache", {})
    cancelled: list[dict[str, float]] = []

    async def cancel_safe(**options: float) -> None:
        cancelled.append(options)

    ours, theirs = pair
    connection = driver_connection("psycopg", ours)
    connection.cancel_safe = cancel_safe
    await end_connection(connection)
    assert len(cancelled) == (version >= 170000)
    assert theirs.recv(1) == b""


def test_an_aborted_connection_ends_for_both(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    abort(driver_connection("psycopg", ours))
    assert (ours.recv(1), theirs.recv(1)) == (b"", b"")
    # A second time, and where nothing is open, it does no harm.
    abort(driver_connection("psycopg", ours))
    abort(SimpleNamespace())
