"""A thread whose ids, namespaces, tags, channels, messages and files all try to run something in the browser of who looks at it."""

from __future__ import annotations

import base64
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from ckptstore import SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata
from tests.support.pdfs import pdf_with

#: Nobody's, by RFC 2606.
ELSEWHERE = "http://elsewhere.example"
SCRIPT = (
    "\"'></title></script><script>alert('script')</script><img src=x onerror=alert('img')><svg onload=alert('svg')>"
    f"<a href=javascript:alert('link')>x</a><iframe src={ELSEWHERE}/frame></iframe>{{{{7*7}}}}\u202e"
)
SVG = f"""<svg xmlns="http://www.w3.org/2000/svg" onload="alert('svg')"><script>alert('script')</script>
<image href="{ELSEWHERE}/image.png"/>
<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="{ELSEWHERE}/frame"/></foreignObject></svg>"""
PAGE = f"<!doctype html><script>alert('page')</script><img src={ELSEWHERE}/pixel.png onerror=alert('img')>"
PDF = pdf_with(b"/OpenAction << /S /JavaScript /JS (app.alert\\('pdf'\\);) >>")
THREAD = f"hostile {SCRIPT}"


def put_hostile(saver: SQLAlchemySaver) -> None:
    """Store the thread: two checkpoints, with a file by handle and a pending write."""
    parts: list[Any] = [
        {"type": "text", "text": SCRIPT},
        {"type": "image_url", "image_url": {"url": f"{ELSEWHERE}/pixel.png"}},
        {"type": "image_url", "image_url": {"url": "data:text/html;base64," + base64.b64encode(PAGE.encode()).decode()}},
        {"type": "image", "mime_type": "image/svg+xml", "base64": base64.b64encode(SVG.encode()).decode()},
    ]
    call = {"name": SCRIPT, "args": {SCRIPT: [SCRIPT]}, "id": SCRIPT, "type": "tool_call"}
    values: dict[str, Any] = {
        "messages": [
            HumanMessage(SCRIPT, id="1", name=SCRIPT),
            AIMessage(parts, id="2", tool_calls=[call]),
            ToolMessage(SCRIPT, id="3", tool_call_id=SCRIPT),
        ],
        SCRIPT: {SCRIPT: SCRIPT},
        "page": PAGE.encode(),
        "svg": SVG.encode(),
        "pdf": PDF,
        "pdf_by_handle": saver.blobs.put(PDF, media_type="application/pdf").result(),
        "page_by_handle": saver.blobs.put(PAGE.encode(), media_type="image/png").result(),
        "url": f"{ELSEWHERE}/{SCRIPT}",
    }
    where = config(THREAD, checkpoint_ns=SCRIPT)
    for step in range(2):
        made = checkpoint(values | {"step": [SCRIPT, step]}, dict.fromkeys([*values, "step"], str(step)))
        # Each later one continues the one before.
        where = saver.put(where, made, metadata(step, **{SCRIPT: SCRIPT}, user_id=SCRIPT), made["channel_versions"])
    saver.put_writes(where, [(SCRIPT, SCRIPT), ("__interrupt__", SCRIPT)], SCRIPT)
