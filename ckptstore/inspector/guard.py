"""Who may ask: only a browser that has the token, that asks in the inspector's own name, and from its own pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ckptstore.inspector.addresses import AllowedHosts

#: Below this path are the style sheet and the script, which are the same for everybody.
STATIC = "/static/"
_TOKEN_BYTES = 32
_METHODS: Final = ("GET", "HEAD")

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}

#: Makes the page that says why a request was refused: status and sentence.
Refuse = Callable[[int, str], Response]
#: Makes the page that goes on to the path of a request that had the token.
Welcome = Callable[[str], Response]


@dataclass(frozen=True, repr=False)
class Access:
    """What admits a browser. Made anew by each process."""

    #: In the URL that is printed.
    token: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES))
    #: In the cookie that a browser gets for the token.
    session: str = field(default_factory=lambda: secrets.token_urlsafe(_TOKEN_BYTES))


class Guard:
    """Refuses requests, and gives every response the headers that keep what it shows harmless.

    Args:
        app: what is guarded.
        access: what admits a browser.
        hosts: the inspector's own names.
        refuse: makes the page of a refusal.
        welcome: makes the page that a browser gets with its cookie.
    """

    def __init__(self, app: ASGIApp, *, access: Access, hosts: AllowedHosts, refuse: Refuse, welcome: Welcome) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._refuse = refuse
        self._welcome = welcome
        # Cookies are of a host, whatever its port: each inspector of a machine has its own.
        self.cookie = f"ckptstore_inspect_{hosts.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(Request(scope)) or self._app
        await answer(scope, receive, send_with_headers)

    def _answer(self, request: Request) -> Response | None:
        """The answer to a request that is not passed on; None for one that is."""
        reason = self._unwanted(request)
        if reason is not None:
            return self._refuse(403, reason)
        if request.method not in _METHODS:
            return self._refuse(405, "the inspector only shows; it takes no changes")
        if request.url.path.startswith(STATIC):
            return None
        token = request.query_params.get("token")
        if token is not None:
            return self._admit(request, token)
        if _same(_cookies(request).get(self.cookie, ""), self._access.session):
            return None
        return self._refuse(403, "open the address that `ckptstore inspect` has printed: it has the token without which nothing is shown")

    def _unwanted(self, request: Request) -> str | None:
        """Why a request can't be one of the inspector's own pages; None if it may be."""
        host = request.headers.get("host", "")
        if not self._hosts.allows(host):
            return "this request asks for another host; open the address that `ckptstore inspect` has printed"
        origin = request.headers.get("origin")
        if origin is not None and origin != f"{request.scope.get('scheme', 'http')}://{host}":
            return "this request comes from a page of another site"
        site = request.headers.get("sec-fetch-site", "none")
        is_navigation = (request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")) == ("navigate", "document")
        if site not in ("none", "same-origin") and not is_navigation:
            return "this request comes from a page of another site"
        return None

    def _admit(self, request: Request, token: str) -> Response:
        if not _same(token, self._access.token):
            return self._refuse(403, "this is not the token of this inspector; open the address that `ckptstore inspect` has printed")
        left = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        # Not a redirect: one that follows a link of another site would come without the cookie.
        path = request.url.path if not request.url.path.startswith("//") else "/"
        response = self._welcome(f"{path}?{urlencode(left)}" if left else path)
        response.set_cookie(self.cookie, self._access.session, httponly=True, samesite="strict", path="/")
        return response


def _cookies(request: Request) -> dict[str, str]:
    """The cookies of a request. Starlette's own reading takes the last one of a name, whichever path it is of."""
    found = SimpleCookie()
    try:
        found.load(request.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in found.items()}


def _same(given: str, expected: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return secrets.compare_digest(given.encode(errors="replace"), expected.encode())
