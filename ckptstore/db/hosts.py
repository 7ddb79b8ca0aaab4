"""Several servers in one URL: a driver tries them in turn.

It waits for a silent one for as long as it may; the next attempt begins with another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

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
    named = [f"host={quote(_with_port(host))}" for host in hosts.split(",")]
    return f"{scheme}://{user}{at}{path or '/'}?{'&'.join([*named, *([query] if query else [])])}"


def _with_port(host: str) -> str:
    return host if host.rpartition(":")[2].isdigit() else f"{host}:{_DEFAULT_PORT}"


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
