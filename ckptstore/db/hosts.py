"""Several servers in one URL: a driver tries them in turn.

It waits for a silent one for as long as it may; the next attempt begins with another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import URL

from ckptstore.errors import InvalidUrl

_SCHEMES = ("postgresql", "postgres")
_DEFAULT_PORT = "5432"


def with_hosts_in_query(text: str) -> str:
    """A URL whose several hosts stand before the database, as libpq takes them, in the form that SQLAlchemy takes; any other as it is."""
    scheme, _, rest = text.partition("://")
    ends = [place for place in (rest.find("/"), rest.find("?")) if place >= 0]
    authority, rest = (rest[: min(ends)], rest[min(ends) :]) if ends else (rest, "")
    user, at, hosts = authority.rpartition("@")
    if scheme.partition("+")[0] not in _SCHEMES or "," not in hosts:
        return text
    path, _, query = rest.partition("?")
    return f"{scheme}://{user}{at}{path or '/'}?host={quote(hosts)}{'&' if query else ''}{query}"


def with_listed_hosts(url: URL) -> URL:
    """A URL whose several hosts are in its query as `host=a,b&port=1,2`, which both drivers read alike; any other as it is.

    A folder of a Unix socket stands before the database as `%2Fvar%2Frun`, as libpq has it, and belongs there, too.

    Raises:
        InvalidUrl: a port is no number, or there is another number of ports than of hosts.
    """
    if url.host is not None and url.host[:3].lower() == "%2f":
        query = {**url.query, "host": unquote(url.host), **({"port": str(url.port)} if url.port else {})}
        return URL.create(url.drivername, url.username, url.password, database=url.database, query=query)
    hosts = [_apart(host) for host in _all(url.query.get("host", ()))]
    ports = _all(url.query.get("port", ()))
    if len(hosts) > 1:
        ports = ports * len(hosts) if len(ports) == 1 else ports or [port or _DEFAULT_PORT for _, port in hosts]
    if not all(port.isdigit() for port in ports) or len(ports) > max(1, len(hosts)) or 1 < len(ports) != len(hosts):
        raise InvalidUrl(f"the URL has {len(hosts)} hosts and the ports {', '.join(ports)}; write HOST:PORT,HOST:PORT before the database")
    if len(hosts) < 2:
        return url
    return url.update_query_dict({"host": ",".join(host for host, _ in hosts), "port": ",".join(ports)})


def _all(given: str | Sequence[str]) -> list[str]:
    return [part for text in ([given] if isinstance(given, str) else given) for part in text.split(",")]


def _apart(host: str) -> tuple[str, str]:
    """A name and its port; the name of an IPv6 address is in brackets, and a folder may have colons."""
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit() or host.startswith("/"):
        name, port = host, ""
    return name.removeprefix("[").removesuffix("]"), port


def host_count(connect_args: Mapping[str, Any]) -> int:
    """How many servers a driver is given."""
    return len(_listed(connect_args.get("host")))


def beginning_with(connect_args: Mapping[str, Any], number: int) -> dict[str, Any]:
    """What a driver is given, with its servers in the same circle, from one of them on."""
    rotated = dict(connect_args)
    for name in ("host", "port"):
        given = connect_args.get(name)
        some = _listed(given)
        if len(some) > 1:
            turned = [*some[number % len(some) :], *some[: number % len(some)]]
            rotated[name] = ",".join(turned) if isinstance(given, str) else turned
    return rotated


def _listed(given: Any) -> Sequence[Any]:
    if isinstance(given, str):
        return given.split(",")
    return given if isinstance(given, (list, tuple)) else [given]
