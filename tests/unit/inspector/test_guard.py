"""Who is admitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from ckptstore.inspector.addresses import AllowedHosts
from ckptstore.inspector.guard import Access, Guard

# The same in every process: pytest names tests after them.
ACCESS = Access("the-token-of-these-tests", "the-session-of-these-tests")
URL = "http://127.0.0.1:8713"


def shown(request: Request) -> Response:
    return PlainTextResponse(f"shown {request.url.path}", headers=dict(request.query_params))


@pytest.fixture
def client() -> Iterator[TestClient]:
    def refuse(status: int, sentence: str) -> Response:
        return PlainTextResponse(f"refused: {sentence}", status)

    guard = Middleware(
        Guard, access=ACCESS, hosts=AllowedHosts(8713), refuse=refuse, welcome=lambda path: PlainTextResponse(f"welcome {path}")
    )
    with TestClient(Starlette(routes=[Route("/{path:path}", shown)], middleware=[guard]), base_url=URL) as client:
        yield client


def admitted(client: TestClient) -> TestClient:
    assert client.get("/", params={"token": ACCESS.token}).status_code == 200
    return client


def test_the_token_gives_a_cookie_and_the_cookie_admits(client: TestClient) -> None:
    assert client.get("/a").status_code == 403
    welcome = client.get("/a", params={"token": ACCESS.token, "q": "ä&b"})
    assert welcome.text == "welcome /a?q=%C3%A4%26b"
    cookie = welcome.headers["set-cookie"]
    assert cookie.startswith("ckptstore_inspect_8713=")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert ACCESS.token not in cookie
    assert client.get("/a").text == "shown /a"


@pytest.mark.parametrize("token", ["", "x", ACCESS.token[:-1], ACCESS.token + "x", ACCESS.session, "\udc80", "ä"])
def test_another_token_is_refused_even_with_the_cookie(client: TestClient, token: str) -> None:
    answer = admitted(client).get("/a", params={"token": token.encode(errors="surrogateescape")})
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("cookie", ["", "x", ACCESS.token, ACCESS.session[:-1], '"', "ä"])
def test_another_cookie_is_refused(client: TestClient, cookie: str) -> None:
    assert client.get("/a", headers={b"cookie": f"ckptstore_inspect_8713={cookie}".encode()}).status_code == 403


def test_the_cookie_of_another_port_does_not_count(client: TestClient) -> None:
    assert client.get("/a", headers={"cookie": f"ckptstore_inspect_9999={ACCESS.session}"}).status_code == 403


def test_the_welcome_leads_to_no_other_site(client: TestClient) -> None:
    assert client.get(f"{URL}//evil.example/x", params={"token": ACCESS.token}).text == "welcome /"


@pytest.mark.parametrize("host", ["evil.example:8713", "127.0.0.1", "127.0.0.1:9", ""])
def test_another_host_is_refused(client: TestClient, host: str) -> None:
    assert admitted(client).get("/a", headers={"host": host}).status_code == 403
    assert client.get("/a", params={"token": ACCESS.token}, headers={"host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "https://127.0.0.1:8713", ""])
def test_another_origin_is_refused(client: TestClient, origin: str) -> None:
    assert admitted(client).get("/a", headers={"origin": origin}).status_code == 403


def test_its_own_origin_is_not(client: TestClient) -> None:
    assert admitted(client).get("/a", headers={"origin": URL}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 200),
        ({"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
        # A page on another port of this machine is of the same site, and its requests have the cookie.
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403),
        # A link of another page.
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200),
    ],
)
def test_only_links_of_other_sites_may_lead_here(client: TestClient, headers: dict[str, str], status: int) -> None:
    assert admitted(client).get("/a", headers=headers).status_code == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_but_reading_is_allowed(client: TestClient, method: str) -> None:
    assert admitted(client).request(method, "/a").status_code == 405


def test_the_style_sheet_needs_no_token_but_the_right_host(client: TestClient) -> None:
    assert client.get("/static/x.css").status_code == 200
    assert client.get("/static/x.css", headers={"host": "evil.example"}).status_code == 403


@pytest.mark.parametrize("path", ["/a", "/static/x.css", "/a?token=x"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers: Any = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["x-content-type-options"], headers["x-frame-options"], headers["referrer-policy"]) == ("nosniff", "DENY", "no-referrer")
    assert headers["cache-control"] == "no-store"


def test_an_answer_may_have_a_policy_of_its_own(client: TestClient) -> None:
    answer = admitted(client).get("/a", params={"content-security-policy": "sandbox"})
    assert answer.headers["content-security-policy"] == "sandbox"


def test_each_process_has_secrets_of_its_own() -> None:
    one, other = Access(), Access()
    assert len({one.token, one.session, other.token, other.session}) == 4
    assert len(one.token) >= 40
    assert one.token not in repr(one)
