"""A TCP proxy before a server whose connections can fall silent, so that neither side is told, or be reset."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.link import Address, address_of, through

_CHUNK_BYTES = 65_536
# On, for 0 seconds: closing sends a reset at once.
_RESETS = struct.pack("ii", 1, 0)


class _Link:
    """One connection through the proxy."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.swallows_requests = self.swallows_replies = False
        self._client, self._server = client, server
        self._ends = [threading.Thread(target=carry, daemon=True) for carry in (self._carry_requests, self._carry_replies)]
        for thread in self._ends:
            thread.start()

    def _carry_requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(_CHUNK_BYTES):
                if not self.swallows_requests:
                    self._server.sendall(data)
        if not self.swallows_requests:
            # A silent link does not even carry the end of a connection: the server never learns of it.
            self.close(self._server)

    def _carry_replies(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(_CHUNK_BYTES):
                if not self.swallows_replies:
                    self._client.sendall(data)
        if not self.swallows_replies:
            self.close(self._client)

    @staticmethod
    def close(end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Send a reset to both sides, as a firewall does that refuses to carry a connection any further."""
        self.swallows_requests = self.swallows_replies = True
        for end in (self._client, self._server):
            with suppress(OSError):
                if end.family != socket.AF_UNIX:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
                # It sends nothing, and ends the thread that reads here.
                end.shutdown(socket.SHUT_RD)
        self._close()

    def end(self) -> None:
        """Close both sides."""
        for end in (self._client, self._server):
            self.close(end)
        self._close()

    def _close(self) -> None:
        for thread in self._ends:
            thread.join()
        self._client.close()
        self._server.close()


class FaultyLink:
    """The proxy.

    Args:
        url: of the server.

    Attributes:
        url: of the same server, through the proxy.
    """

    def __init__(self, url: str) -> None:
        self._address: Address = address_of(url)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = through(url, self._listening.getsockname()[1])
        self._links: list[_Link] = []
        self._swallows_new = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                link = _Link(client, self._connect())
                link.swallows_requests = link.swallows_replies = self._swallows_new
                self._links.append(link)

    def _connect(self) -> socket.socket:
        if not isinstance(self._address, str):
            return socket.create_connection(self._address)
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._address)
        return server

    def silence(self, *, requests: bool = True, replies: bool = True, new: bool = False) -> int:
        """Swallow what the open connections carry from now on, in one direction or both; returns how many there are.

        Args:
            requests: what the clients send.
            replies: what the server sends.
            new: whether connections that are opened later are silent from their start.
        """
        self._swallows_new = new
        for link in self._links:
            link.swallows_requests |= requests
            link.swallows_replies |= replies
        return len(self._links)

    def reset(self) -> int:
        """Reset the connections that are open; returns how many there are."""
        links, self._links = self._links, []
        for link in links:
            link.reset()
        return len(links)

    def close(self) -> None:
        """Close everything."""
        _Link.close(self._listening)
        self._listening.close()
        self._accepting.join()
        for link in self._links:
            link.end()


@contextmanager
def faulty_link(url: str) -> Iterator[FaultyLink]:
    """A proxy before a server."""
    link = FaultyLink(url)
    try:
        yield link
    finally:
        link.close()
