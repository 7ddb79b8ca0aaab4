"""Where the inspector listens, and which hosts are its own."""

from __future__ import annotations

import socket

import pytest

from ckptstore.errors import InvalidConfig
from ckptstore.inspector.addresses import LOOPBACK, AllowedHosts, allowed_hosts, listen, shown_host


def test_a_free_port_is_listened_on() -> None:
    with listen(LOOPBACK, 0, allow_remote=False) as made, socket.create_connection(made.getsockname()):
        assert made.getsockname()[0] == LOOPBACK
        # Or answers would wait for the acknowledgement of their heads, up to 40 ms.
        assert made.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_named() -> None:
    with listen(LOOPBACK, 0, allow_remote=False) as made:
        port = made.getsockname()[1]
        with pytest.raises(InvalidConfig, match=rf"port {port} of 127\.0\.0\.1 is in use.*--port"):
            listen(LOOPBACK, port, allow_remote=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_what_other_machines_could_reach_needs_leave(host: str) -> None:
    with pytest.raises(InvalidConfig, match="--allow-remote"):
        listen(host, 0, allow_remote=False)


def test_all_addresses_are_listened_on_with_leave() -> None:
    with listen("0.0.0.0", 0, allow_remote=True) as made:
        assert made.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize(
    ("host", "said"), [("192.0.2.1", "can't listen on 192.0.2.1"), ("no.such.host.invalid", "no address of this machine")]
)
def test_an_address_of_another_machine_is_refused(host: str, said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        listen(host, 0, allow_remote=True)


@pytest.mark.parametrize("host", ["127.0.0.1:8713", "localhost:8713", "LOCALHOST:8713", "[::1]:8713"])
def test_names_of_this_machine_are_allowed(host: str) -> None:
    assert AllowedHosts(8713).allows(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost:87130",
        "evil.example:8713",
        "127.0.0.1.evil.example:8713",
        "192.168.1.7:8713",
        "[::1]",
        ":8713",
    ],
)
def test_other_hosts_are_not(host: str) -> None:
    assert not AllowedHosts(8713).allows(host)


def test_port_80_may_be_left_out() -> None:
    assert AllowedHosts(80).allows("localhost")
    assert AllowedHosts(80).allows("localhost:80")
    assert AllowedHosts(80).allows("[::1]")


def test_one_that_is_open_to_others_is_asked_for_by_any_address_but_by_no_other_name() -> None:
    hosts = allowed_hosts("0.0.0.0", 8713, allow_remote=True)
    assert hosts.allows("192.168.1.7:8713")
    assert hosts.allows("[2001:db8::7]:8713")
    assert hosts.allows(f"{socket.gethostname()}:8713")
    assert not hosts.allows("rebound.evil.example:8713")
    assert not allowed_hosts(LOOPBACK, 8713, allow_remote=False).allows("192.168.1.7:8713")


def test_addresses_in_urls() -> None:
    assert (shown_host("::1"), shown_host(LOOPBACK)) == ("[::1]", LOOPBACK)
