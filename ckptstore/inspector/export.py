"""A thread as a JSON document, without what is hidden, to be saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ckptstore.inspection.outline import OutlinedCheckpoint, ThreadPage, thread_page
from ckptstore.inspector.checkpoint_page import Problem, attempt
from ckptstore.inspector.context import Inspector, inspector_of, required
from ckptstore.inspector.media import file_name
from ckptstore.langgraph.inspection.state_json import state_as_json
from ckptstore.runtime.steps import drive

_PAGE_SIZE = 100


def export(request: Request) -> Response:
    """The document. It is sent checkpoint by checkpoint, so that one of any size needs little memory."""
    inspector, thread_id = inspector_of(request), required(request, "thread")
    first = drive(thread_page(inspector.store, thread_id, None, None, _PAGE_SIZE))
    headers = {"content-disposition": f'attachment; filename="{file_name(thread_id)}.json"'}
    return StreamingResponse(_document(inspector, first), media_type="application/json", headers=headers)


def _document(inspector: Inspector, first: ThreadPage) -> Iterator[bytes]:
    thread = first.thread
    about = {
        "thread_id": thread.thread_id,
        "created_at": thread.created_at,
        "updated_at": thread.updated_at,
        "checkpoint_count": thread.checkpoints,
        "size": thread.size,
        "exported_at": inspector.now(),
        "redacted": list(inspector.redaction.patterns),
    }
    # Open, for the last entry.
    yield _json(about)[:-1] + b', "checkpoints": ['
    for number, outline in enumerate(_outlines(inspector, first)):
        yield (b",\n" if number else b"\n") + _json(_checkpoint(inspector, outline))
    yield b"\n]}\n"


def _outlines(inspector: Inspector, page: ThreadPage) -> Iterator[OutlinedCheckpoint]:
    while True:
        yield from page.checkpoints
        if not page.more:
            return
        last = page.checkpoints[-1].key
        page = drive(thread_page(inspector.store, last.thread_id, None, last.checkpoint_id, _PAGE_SIZE))


def _checkpoint(inspector: Inspector, outline: OutlinedCheckpoint) -> dict[str, Any]:
    found = attempt(lambda: state_as_json(inspector.read_state(outline.key)))
    state = {**outline.key._asdict(), "problem": found.problem} if isinstance(found, Problem) else found
    return {"created_at": outline.created_at, **state}


def _json(shown: Any) -> bytes:
    return json.dumps(shown, allow_nan=False, default=_as_text).encode()


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} in JSON")
