"""Where the inspector listens, and by which names a browser may ask for it."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from ckptstore.errors import InvalidConfig

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8713
_BACKLOG = 128
_HTTP_PORT = 80


def listen(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A socket that listens.

    Args:
        host: a name or address of this machine.
        port: 0 for one that is free.
        allow_remote: whether other machines may reach it.

    Raises:
        InvalidConfig: other machines would reach it, the port is in use, or the address is none of this machine's.
    """
    family, address = _resolve(host, port)
    if not ipaddress.ip_address(address[0]).is_loopback and not allow_remote:
        raise InvalidConfig(f"other machines could reach {host}; to show them what the store holds, add --allow-remote")
    # With its protocol: asyncio sends at once (TCP_NODELAY) only on sockets that say that they are of TCP.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as exc:
        made.close()
        if exc.errno == errno.EADDRINUSE:
            raise InvalidConfig(f"port {port} of {host} is in use; give another one, or 0 for one that is free: --port") from exc
        raise InvalidConfig(f"can't listen on {host}, port {port}: {exc.strerror}") from exc
    return made


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as exc:
        raise InvalidConfig(f"{host!r} is no address of this machine ({exc.strerror}); give another one: --host") from exc
    return family, (str(address[0]), port)


def shown_host(address: str) -> str:
    """A host or address as a URL has it."""
    return f"[{address}]" if ":" in address else address


@dataclass(frozen=True)
class AllowedHosts:
    """Which `Host` headers belong to the inspector.

    A page of another site can let its own name resolve to this machine, and then ask in that name. It can't do so with an address.

    Args:
        port: where it listens.
        names: hosts by which this machine is known.
        any_address: whether every address counts, as one that is open to other machines is asked for by whichever of its own.
    """

    port: int
    names: Iterable[str] = field(default_factory=lambda: ("localhost", LOOPBACK, "::1"))
    any_address: bool = False

    def allows(self, host: str) -> bool:
        """Whether a `Host` header, with its port, is one of these."""
        name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
        if not colon:
            name, port = host, str(_HTTP_PORT)
        if port != str(self.port):
            return False
        name = name.removeprefix("[").removesuffix("]").lower()
        return name in {each.lower() for each in self.names} or (self.any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def allowed_hosts(host: str, port: int, *, allow_remote: bool) -> AllowedHosts:
    """The hosts of an inspector that listens on `host`."""
    if not allow_remote:
        return AllowedHosts(port, ("localhost", LOOPBACK, "::1", host))
    return AllowedHosts(port, ("localhost", host, socket.gethostname(), socket.getfqdn()), any_address=True)
