"""Several servers in one URL."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore.db.hosts import beginning_with, host_count, with_hosts_in_query
from ckptstore.db.url import parse_database_url


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("postgresql://u:p%40w@h1,h2/db?target_session_attrs=primary", ["h1", "h2"]),
        ("postgresql+{driver}://h1:5433,h2,h3:6000/db", ["h1", "h2", "h3"]),
        ("postgresql+{driver}://u@h1,h2?target_session_attrs=primary", ["h1", "h2"]),
        ("postgresql+{driver}://u@/db?host=h1:5433&host=h2:5432", ["h1", "h2"]),
    ],
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_libpqs_form_is_that_of_both_drivers(given: str, hosts: list[str], driver: str) -> None:
    url = parse_database_url(given.format(driver=driver))
    found: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
    ports = {"h1": 5433 if "5433" in given else 5432, "h2": 5432, "h3": 6000}
    if isinstance(found["host"], str):
        found |= {"host": found["host"].split(","), "port": [int(port) for port in found["port"].split(",")]}
    assert (found["host"], found["port"]) == (hosts, [ports[host] for host in hosts])
    assert host_count(found) == len(hosts)
    assert url.password == ("p@w" if "p%40w" in given else None)
    assert ("target_session_attrs" in url.query) == ("target" in given)


@pytest.mark.parametrize("text", ["postgresql://u@h/db?options=a,b", "sqlite:///a,b", "s3://a,b/c", "a,b"])
def test_other_urls_stay_as_they_are(text: str) -> None:
    assert with_hosts_in_query(text) == text


@pytest.mark.parametrize(
    ("given", "second"),
    [
        ({"host": "a,b,c", "port": "1,2,3"}, {"host": "b,c,a", "port": "2,3,1"}),
        ({"host": ["a", "b"], "port": [1, 2], "user": "u"}, {"host": ["b", "a"], "port": [2, 1], "user": "u"}),
        ({"host": "a,b", "port": "1"}, {"host": "b,a", "port": "1"}),
        ({"host": "a", "port": 1}, {"host": "a", "port": 1}),
        ({"database": "d"}, {"database": "d"}),
    ],
)
def test_the_servers_stay_in_a_circle(given: dict[str, Any], second: dict[str, Any]) -> None:
    assert beginning_with(given, 1) == second
    assert beginning_with(given, host_count(given)) == given
