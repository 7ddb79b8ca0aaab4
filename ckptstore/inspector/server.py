"""Serves the inspector until it is interrupted."""

from __future__ import annotations

import socket
import threading
import webbrowser

import uvicorn

from ckptstore.inspector.addresses import allowed_hosts, shown_host
from ckptstore.inspector.app import make_app
from ckptstore.inspector.context import Inspector
from ckptstore.inspector.guard import Access

# What still runs when it is interrupted, such as a long measurement, is left.
_GRACE_SECONDS = 2


def url_of(listening: socket.socket, host: str, access: Access) -> str:
    """The URL that is printed."""
    return f"http://{shown_host(host)}:{listening.getsockname()[1]}/?token={access.token}"


def serve(inspector: Inspector, listening: socket.socket, host: str, access: Access, *, allow_remote: bool, browser: bool) -> None:
    """Serve the inspector; returns when the process is interrupted.

    Args:
        inspector: what is shown.
        listening: the socket.
        host: its name or address.
        access: what admits a browser.
        allow_remote: whether other machines may reach it.
        browser: whether a browser is opened.
    """
    hosts = allowed_hosts(host, listening.getsockname()[1], allow_remote=allow_remote)
    config = uvicorn.Config(
        make_app(inspector, access, hosts),
        # Its log of requests would have the token.
        access_log=False,
        log_level="warning",
        server_header=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=_GRACE_SECONDS,
        # It is no proxy that says who asks.
        proxy_headers=False,
    )
    if browser:
        # The socket listens already. A browser in a terminal would keep this thread.
        threading.Thread(target=webbrowser.open, args=[url_of(listening, host, access)], name="ckptstore-browser", daemon=True).start()
    uvicorn.Server(config).run(sockets=[listening])
