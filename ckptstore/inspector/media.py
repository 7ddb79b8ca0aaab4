"""What bytes are, so far as a browser may be trusted with them: pictures and PDFs are shown, and whatever else could run is not."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from ckptstore.inspector.pdf_actions import may_act

_LOOKED_AT = 1_024
# A text has none of these characters.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_PAGE = re.compile(rb"<(!doctype\s+)?html", re.IGNORECASE)
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
)


class Kind(StrEnum):
    """How bytes are shown."""

    IMAGE = "image"
    PDF = "pdf"
    #: A picture that may hold scripts: only as a picture, and never as a page.
    SVG = "svg"
    #: Text in any language. HTML is shown as its source.
    TEXT = "text"
    BINARY = "binary"


class Media(NamedTuple):
    """What bytes are."""

    kind: Kind
    #: With which they are sent; never that of a page.
    content_type: str


BINARY = Media(Kind.BINARY, "application/octet-stream")
_TEXT = Media(Kind.TEXT, "text/plain; charset=utf-8")
_SVG = Media(Kind.SVG, "image/svg+xml")
_PDF = "application/pdf"


def media_of(data: bytes) -> Media:
    """What bytes are, by themselves: what somebody says of them is not trusted."""
    for signature, content_type in _SIGNATURES:
        if data.startswith(signature):
            return _pdf(data) if content_type == _PDF else Media(Kind.IMAGE, content_type)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return Media(Kind.IMAGE, "image/webp")
    beginning = data[:_LOOKED_AT]
    if not data or _NO_TEXT.search(beginning) or not _is_utf8(beginning):
        return BINARY
    is_svg = beginning.lstrip().startswith(b"<") and re.search(rb"<svg[\s>]", beginning) and not _PAGE.search(beginning)
    return _SVG if is_svg else _TEXT


def _pdf(data: bytes) -> Media:
    return Media(Kind.BINARY if may_act(data) else Kind.PDF, _PDF)


def _is_utf8(beginning: bytes) -> bool:
    try:
        beginning.decode()
    except UnicodeDecodeError as exc:
        # The last character may be cut.
        return len(beginning) == _LOOKED_AT and exc.start > _LOOKED_AT - 4
    return True


def media_named(media_type: str | None) -> Kind:
    """How bytes that were not read yet will be shown, by the media type that was given with them."""
    named = (media_type or "").partition(";")[0].strip().lower()
    if named == "image/svg+xml":
        return Kind.SVG
    if named in {content_type for _, content_type in _SIGNATURES} | {"image/webp"}:
        return Kind.PDF if named == _PDF else Kind.IMAGE
    return Kind.TEXT if named.startswith("text/") or named == "application/json" else Kind.BINARY


def file_name(*parts: str) -> str:
    """A name for a file that is saved, of letters and digits only."""
    joined = "-".join(re.sub(r"[^A-Za-z0-9]+", "-", part).strip("-")[:40] for part in parts)
    return re.sub("-+", "-", joined).strip("-") or "value"
