"""A single value, or a part of one: more of it than the page of its checkpoint has."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from ckptstore.errors import InvalidConfig
from ckptstore.inspector.addressing import parse, part_at
from ckptstore.inspector.context import inspector_of
from ckptstore.inspector.rendering import page
from ckptstore.inspector.structure_html import HtmlLimits, StructureHtml
from ckptstore.inspector.value_links import value_of

_LIMITS = HtmlLimits(elements=200, messages=100, text=200_000, depth=20)


def value(request: Request) -> Response:
    """The page of a value."""
    inspector = inspector_of(request)
    key, name, whole, links = value_of(request)
    path = parse(request.query_params.get("path", ""))
    part = part_at(whole, path)
    start = request.query_params.get("start", "0")
    if not (start.isascii() and start.isdigit() and len(start) < 10):
        raise InvalidConfig("the address of this page can't be read; go back, and follow the link again")
    shown = StructureHtml(links, _LIMITS).whole(part, path, int(start))
    return page("value.html", inspector=inspector, place="threads", key=key, name=name, path=path, start=int(start), shown=shown)
