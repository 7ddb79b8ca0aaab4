"""The bytes of a value, for previews and to be saved: sent so that nothing in them can run."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ckptstore.errors import InvalidConfig
from ckptstore.handles import BLOB_REF_NAMES, digest_of_handle
from ckptstore.inspection.viewing import MAX_BLOB_BYTES
from ckptstore.inspector.addressing import bytes_at, parse, part_at
from ckptstore.inspector.context import Inspector, inspector_of
from ckptstore.inspector.media import Kind, Media, file_name, media_of
from ckptstore.inspector.rendering import page
from ckptstore.inspector.value_links import value_of
from ckptstore.langgraph.structure.nodes import NotShown, Structure, Typed
from ckptstore.runtime.steps import drive
from ckptstore.store.blob_reading import read_blob

_HANDLES: Final = frozenset(".".join(name) for name in BLOB_REF_NAMES)
_NOTHING = "default-src 'none'; frame-ancestors 'self'"
# A page of its own for whatever might be one: without scripts, forms, and an origin. A PDF is shown by the browser's own viewer, which
# a sandbox would forbid; it is no page, and has no access to one.
_POLICIES: Final = {
    Kind.PDF: f"{_NOTHING}; style-src 'unsafe-inline'; object-src 'self'",
    Kind.SVG: f"{_NOTHING}; style-src 'unsafe-inline'; sandbox",
}
_SUFFIXES: Final = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
    "text/plain": "txt",
}


def raw(request: Request) -> Response:
    """The bytes of a part of a value."""
    inspector = inspector_of(request)
    key, name, whole, _ = value_of(request)
    path = parse(request.query_params.get("path", ""))
    data = _bytes(inspector, whole, path)
    media = media_of(data)
    if "preview" in request.query_params and media.kind is not Kind.PDF:
        return _not_previewed()
    if media.kind is Kind.TEXT and inspector.redaction.patterns:
        data = inspector.redaction.text(data.decode(errors="replace"), (name,)).encode(errors="backslashreplace")
    return Response(data, media_type=media.content_type, headers=_headers(media, file_name(key.thread_id, name, *map(str, path))))


def _bytes(inspector: Inspector, whole: Structure, path: tuple[int, ...]) -> bytes:
    part = part_at(whole, path)
    if isinstance(part, NotShown):
        raise InvalidConfig(f"this value is not shown: {part.reason}")
    if isinstance(part, Typed) and part.type in _HANDLES:
        return drive(read_blob(inspector.store, digest_of_handle(part.fields), MAX_BLOB_BYTES))
    data = bytes_at(whole, path)
    if data is None:
        raise InvalidConfig("this part of the value has no bytes of its own")
    return data


def _not_previewed() -> Response:
    """In the place of a PDF that might do something by itself, or that is none."""
    response = page("not_previewed.html")
    # Without a sandbox, which would keep its style sheet from it: it has nothing of the database.
    response.headers.update({"content-security-policy": f"{_NOTHING}; style-src 'self'; img-src 'self'", "x-frame-options": "SAMEORIGIN"})
    return response


def _headers(media: Media, name: str) -> dict[str, str]:
    suffix = _SUFFIXES.get(media.content_type.partition(";")[0], "bin")
    disposition = "attachment" if media.kind is Kind.BINARY else "inline"
    return {
        "content-security-policy": _POLICIES.get(media.kind, f"{_NOTHING}; sandbox"),
        "content-disposition": f'{disposition}; filename="{name}.{suffix}"',
        "x-frame-options": "SAMEORIGIN",
    }
