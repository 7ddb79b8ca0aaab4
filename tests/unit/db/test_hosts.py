"""Several servers in one URL."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from ckptstore.db.hosts import beginning_with, host_count, with_hosts_in_query
from ckptstore.db.url import parse_database_url
from ckptstore.errors import InvalidUrl


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ("postgresql://u:p%40w@h1,h2/db?target_session_attrs=primary", ["h1", "h2"]),
        ("postgresql+{driver}://h1:5433,h2,h3:6000/db", ["h1", "h2", "h3"]),
        ("postgresql+{driver}://u@h1,h2?target_session_attrs=primary", ["h1", "h2"]),
        ("postgresql+{driver}://u@/db?host=h1:5433&host=h2:5432", ["h1", "h2"]),
        ("postgresql+{driver}://u@/db?host=h1:5433,h2", ["h1", "h2"]),
        ("postgresql+{driver}://u@/db?host=h1,h2&port=5433,5432", ["h1", "h2"]),
        ("postgresql+{driver}://u@[::1]:5433,h2/db", ["::1", "h2"]),
    ],
)
@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_libpqs_form_is_that_of_both_drivers(given: str, hosts: list[str], driver: str) -> None:
    url = parse_database_url(given.format(driver=driver))
    found: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
    ports = {"h1": 5433 if "5433" in given else 5432, "::1": 5433, "h2": 5432, "h3": 6000}
    if isinstance(found["host"], str):
        found |= {"host": found["host"].split(","), "port": [int(port) for port in found["port"].split(",")]}
    assert (found["host"], found["port"]) == (hosts, [ports[host] for host in hosts])
    assert host_count(found) == len(hosts)
    assert url.password == ("p@w" if "p%40w" in given else None)
    assert ("target_session_attrs" in url.query) == ("target" in given)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
@pytest.mark.parametrize("folder", ["/var/run", "/cloudsql/project:region:instance"])
@pytest.mark.parametrize("form", ["u:p@/db?host={folder}&port=5433", "u:p@{quoted}:5433/db"])
def test_a_folder_of_a_socket(form: str, folder: str, driver: str) -> None:
    written = form.format(folder=folder, quoted=quote(folder, safe=""))
    url = parse_database_url(f"postgresql+{driver}://{written}")
    found: dict[str, Any] = dict(url.get_dialect()().create_connect_args(url)[1])
    assert (found["host"], int(found["port"]), found["password"]) == (folder, 5433, "p")


@pytest.mark.parametrize("query", ["host=a,b&port=1,2,3", "host=a&port=1,2", "port=soon", "host=a:1,b:2&port=x,y"])
def test_ports_that_fit_no_hosts(query: str) -> None:
    with pytest.raises(InvalidUrl, match="write HOST:PORT,HOST:PORT"):
        parse_database_url(f"postgresql://u:p@/db?{query}")


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
