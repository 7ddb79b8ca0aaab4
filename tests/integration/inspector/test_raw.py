"""The bytes of values."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from starlette.testclient import TestClient

from ckptstore import SQLAlchemySaver
from tests.support.build import config, put
from tests.support.inspector import inspecting, text_of
from tests.support.pdfs import pdf_with

PNG = b"\x89PNG\r\n\x1a\n" + bytes(80_000)
PAGE = b"<!doctype html><script>alert(1)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
SCRIPTED = pdf_with(b"/OpenAction << /S /JavaScript /JS (app.alert) >>")
VALUES: dict[str, Any] = {
    "png": PNG,
    "page": PAGE,
    "svg": SVG,
    "pdf": pdf_with(b""),
    "scripted": SCRIPTED,
    "text": "<script>alert(1)</script>",
    "binary": b"\0\1\2",
    "json": '{"password": "s3cret", "name": "ann"}',
    "embedded": {"mime_type": "text/html", "data": base64.b64encode(PAGE).decode()},
    '"; x=\r\ny': b"text",
    "number": 5,
}


@pytest.fixture
async def filled(sqlite_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        handles = {name: await saver.blobs.put(data, media_type=kind) for name, data, kind in HANDLES}
        await put(saver, config("t"), {**VALUES, **handles})
    return sqlite_url


HANDLES = (
    ("handle", PNG, "image/png"),
    ("lying", PAGE + b" " * 70_000, "image/png"),
    ("scripted_handle", SCRIPTED, "application/pdf"),
)


def get(client: TestClient, channel: str, **query: str) -> Any:
    return client.get("/raw", params={"thread": "t", "channel": channel, **query})


@pytest.mark.parametrize(
    ("channel", "content_type", "disposition", "content"),
    [
        ("png", "image/png", "inline", PNG),
        ("handle", "image/png", "inline", PNG),
        ("pdf", "application/pdf", "inline", VALUES["pdf"]),
        ("scripted", "application/pdf", "attachment", SCRIPTED),
        ("scripted_handle", "application/pdf", "attachment", SCRIPTED),
        ("svg", "image/svg+xml", "inline", SVG),
        ("page", "text/plain; charset=utf-8", "inline", PAGE),
        ("lying", "text/plain; charset=utf-8", "inline", PAGE + b" " * 70_000),
        ("text", "text/plain; charset=utf-8", "inline", b"<script>alert(1)</script>"),
        ("binary", "application/octet-stream", "attachment", b"\0\1\2"),
    ],
)
def test_bytes_are_sent_so_that_nothing_runs(filled: str, channel: str, content_type: str, disposition: str, content: bytes) -> None:
    with inspecting(filled) as client:
        answer = get(client, channel)
        assert (answer.status_code, answer.content == content) == (200, True)
        assert answer.headers["content-type"] == content_type
        assert answer.headers["content-disposition"].startswith(disposition)
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert ("sandbox" in policy) == (channel != "pdf")
        assert "script-src" not in policy


def test_an_embedded_file(filled: str) -> None:
    with inspecting(filled) as client:
        answer = get(client, "embedded", path="1")
        assert (answer.content, answer.headers["content-type"]) == (PAGE, "text/plain; charset=utf-8")


def test_names_of_files_are_plain(filled: str) -> None:
    with inspecting(filled) as client:
        answer = get(client, '"; x=\r\ny')
        assert answer.headers["content-disposition"] == 'inline; filename="t-x-y.txt"'


@pytest.mark.parametrize("channel", ["scripted", "scripted_handle", "lying", "png"])
def test_what_is_no_harmless_pdf_is_not_previewed_as_one(filled: str, channel: str) -> None:
    with inspecting(filled) as client:
        answer = get(client, channel, preview="1")
        assert "not previewed" in text_of(answer.text)
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; frame-ancestors 'self'; style-src 'self'")
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"


def test_a_harmless_pdf_is(filled: str) -> None:
    with inspecting(filled) as client:
        assert get(client, "pdf", preview="1").content == VALUES["pdf"]


def test_what_has_no_bytes_is_a_sentence(filled: str) -> None:
    with inspecting(filled) as client:
        answer = get(client, "number")
        assert (answer.status_code, "no bytes of its own" in answer.text) == (404, True)


def test_what_is_hidden_is_not_sent(filled: str) -> None:
    with inspecting(filled, redact=["password", "png", "handle"]) as client:
        assert b"s3cret" not in get(client, "json").content
        assert b"ann" in get(client, "json").content
        for channel in ("png", "handle"):
            answer = get(client, channel)
            assert (answer.status_code, "redacted" in answer.text) == (404, True)
