"""The inspector as an ASGI application."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ckptstore.errors import (
    BlobCorrupt,
    BlobMissing,
    CheckpointCorrupt,
    CkptStoreError,
    DatabaseCorrupt,
    InvalidConfig,
    InvalidFilter,
    InvalidPolicy,
)
from ckptstore.inspection.unreadable import UNREADABLE, why_unreadable
from ckptstore.inspector.addresses import AllowedHosts
from ckptstore.inspector.checkpoint_page import checkpoint
from ckptstore.inspector.context import Inspector
from ckptstore.inspector.difference_page import diff
from ckptstore.inspector.export import export
from ckptstore.inspector.guard import STATIC, Access, Guard
from ckptstore.inspector.raw import raw
from ckptstore.inspector.rendering import page, static_file
from ckptstore.inspector.retention_page import retention
from ckptstore.inspector.space_page import space
from ckptstore.inspector.threads_page import tag_values, threads
from ckptstore.inspector.tree_page import thread
from ckptstore.inspector.value_page import value

logger = logging.getLogger(__name__)

_STATIC_TYPES = {"inspector.css": "text/css", "inspector.js": "text/javascript", "icon.svg": "image/svg+xml"}
# The status of each error. All others may be transient, and get 503.
_STATUSES = (
    ((InvalidFilter, InvalidPolicy), 400),
    ((InvalidConfig, BlobMissing), 404),
    ((CheckpointCorrupt, DatabaseCorrupt, BlobCorrupt), 500),
)
_PAGES = {
    "/threads": threads,
    "/tag-values": tag_values,
    "/thread": thread,
    "/checkpoint": checkpoint,
    "/value": value,
    "/raw": raw,
    "/diff": diff,
    "/space": space,
    "/retention": retention,
    "/export": export,
}


def make_app(inspector: Inspector, access: Access, hosts: AllowedHosts) -> Starlette:
    """The application.

    Args:
        inspector: what it shows.
        access: what admits a browser.
        hosts: the names by which browsers may ask for it.
    """

    def refuse(status: int, sentence: str) -> Response:
        return page("refused.html", status, sentence=sentence)

    def welcome(path: str) -> Response:
        return page("welcome.html", path=path)

    guard = Middleware(Guard, access=access, hosts=hosts, refuse=refuse, welcome=welcome)
    app = Starlette(
        routes=[Route("/", _home), Route(f"{STATIC}{{name}}", _static), *[Route(path, show) for path, show in _PAGES.items()]],
        middleware=[guard],
        exception_handlers={CkptStoreError: _problem, HTTPException: _not_found, **dict.fromkeys(UNREADABLE, _unreadable)},
    )
    app.state.inspector = inspector
    return app


def _home(_: Request) -> Response:
    return RedirectResponse("/threads", 303)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC_TYPES:
        raise HTTPException(404)
    return Response(static_file(name), media_type=_STATIC_TYPES[name], headers={"cache-control": "private, max-age=86400"})


def _say(request: Request, status: int, sentence: str) -> Response:
    return page("problem.html", status, inspector=request.app.state.inspector, place="", sentence=sentence)


def _problem(request: Request, exc: Exception) -> Response:
    return _say(request, next((status for kinds, status in _STATUSES if isinstance(exc, kinds)), 503), str(exc))


def _unreadable(request: Request, exc: Exception) -> Response:
    logger.info("a row can't be read", exc_info=exc, extra={"event": "row_unreadable"})
    return _say(request, 500, why_unreadable(exc))


def _not_found(request: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 404
    return _say(request, status, "there is no such page; begin at the list of threads")
