"""Pages from templates. Every value that a template is given is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse, StreamingResponse

from ckptstore.inspector.words import ago, count, day, moment
from ckptstore.langgraph.structure.as_text import byte_count, named, plural, printable

_FOLDER: Final = files("ckptstore.inspector")
# Stands in a template where what was rendered is sent, since what follows takes long.
_FLUSH: Final = Markup("<!-- -->")
_CHUNK_CHARACTERS = 16_384


def static_file(name: str) -> bytes:
    """The bytes of a style sheet, script or picture of the package."""
    return _FOLDER.joinpath("static", name).read_bytes()


@cache
def static_url(name: str) -> str:
    """The URL of such a file; another one after it has changed, as browsers keep it."""
    return f"/static/{name}?v={hashlib.sha256(static_file(name)).hexdigest()[:12]}"


def link(path: str, /, **parameters: Any) -> str:
    """The URL of a page. Parameters that are None are left out."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True, errors='replace')}" if given else path


def _sentence(text: str) -> str:
    """What an error says, as a sentence."""
    shown = printable(text)
    # Names of settings and options stay as they are written.
    if shown.partition(" ")[0].isalpha():
        shown = shown[:1].upper() + shown[1:]
    return shown if shown.endswith((".", "?")) else f"{shown}."


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FunctionLoader(lambda name: _FOLDER.joinpath("templates", name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update({"bytes": byte_count, "printable": printable, "named": named, "sentence": _sentence})
    made.filters.update({each.__name__: each for each in (ago, count, day, moment, plural)})
    made.globals.update({"link": link, "static": static_url, "flush": _FLUSH})
    return made


def page(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page."""
    text = _environment().get_template(template).render(context)
    return HTMLResponse(_encoded(text), status)


def streamed(template: str, **context: Any) -> StreamingResponse:
    """A page whose beginning is sent before the rest is known: what takes long is a function in `context` that the template calls."""
    return StreamingResponse(_chunks(template, context), media_type="text/html")


def _chunks(template: str, context: Mapping[str, Any]) -> Iterator[bytes]:
    waiting: list[str] = []
    size = 0
    for part in _environment().get_template(template).generate(context):
        waiting.append(part)
        size += len(part)
        if size >= _CHUNK_CHARACTERS or _FLUSH in part:
            yield _encoded("".join(waiting))
            waiting, size = [], 0
    yield _encoded("".join(waiting))


def _encoded(text: str) -> bytes:
    # Halves of surrogate pairs, which JSON can hold, are no text that can be sent.
    return text.encode(errors="backslashreplace")
