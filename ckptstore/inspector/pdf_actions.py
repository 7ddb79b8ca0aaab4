"""Whether a PDF could do something by itself: run a script, open an address, send a form.

Browsers run the scripts of a PDF, in a viewer that no policy of a page reaches. So only a PDF that has none is previewed. What can't
be looked into counts as if it had some.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

_ACTIONS: Final = (b"JavaScript", b"JS", b"Launch", b"SubmitForm", b"ImportData", b"GoToR", b"GoToE", b"RichMedia", b"Rendition", b"XFA")
_ACTS = re.compile(rb"/(?:" + b"|".join(_ACTIONS) + rb")(?![A-Za-z0-9])")
# These begin an action without a click. Where the document opens at a place of its own, an array says which.
_BEGINS = re.compile(rb"/(?:OpenAction\s*(?!\s*\[)|AA(?![A-Za-z0-9]))")
_ADDRESS = re.compile(rb"/URI(?![A-Za-z0-9])")
# A name with letters that are written by their codes, as nobody does who has nothing to hide.
_CODED = re.compile(rb"/[A-Za-z0-9]*#[0-9A-Fa-f]{2}[A-Za-z0-9#]*")
_HIDDEN: Final = frozenset((*_ACTIONS, b"OpenAction", b"AA", b"URI", b"ObjStm"))
# Objects within a stream, which is compressed.
_OBJECTS = b"/ObjStm"
_STREAM = re.compile(rb"obj\b((?:(?!endobj).){0,4096}?)stream\r?\n", re.DOTALL)
_DEFLATED = re.compile(rb"/Filter\s*(?:/FlateDecode(?![A-Za-z])|\[\s*/FlateDecode\s*\])")
_MAX_INFLATED = 64 * 1024 * 1024


def may_act(data: bytes) -> bool:
    """Whether a PDF may have scripts, or actions that need no click."""
    if any(_decoded(name) in _HIDDEN for name in _CODED.findall(data)):
        return True
    inflated = _object_streams(data)
    if inflated is None:
        return True
    parts = (data, *inflated)
    if any(_ACTS.search(part) for part in parts):
        return True
    return any(_BEGINS.search(part) for part in parts) and any(_ADDRESS.search(part) for part in parts)


def _decoded(name: bytes) -> bytes:
    return re.sub(rb"#([0-9A-Fa-f]{2})", lambda found: bytes.fromhex(found[1].decode()), name.removeprefix(b"/"))


def _object_streams(data: bytes) -> list[bytes] | None:
    """The contents of all streams of objects; None if one can't be read."""
    found = []
    left = _MAX_INFLATED
    streams = [match for match in _STREAM.finditer(data) if _OBJECTS in match[1]]
    if len(streams) != data.count(_OBJECTS):
        return None
    for match in streams:
        if b"/DecodeParms" in match[1] or not _DEFLATED.search(match[1]):
            return None
        inflater = zlib.decompressobj()
        try:
            found.append(inflater.decompress(data[match.end() :], left))
        except zlib.error:
            return None
        left -= len(found[-1])
        if not inflater.eof or left <= 0:
            return None
    return found
