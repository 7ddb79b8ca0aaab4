"""What bytes are."""

from __future__ import annotations

import pytest

from ckptstore.inspector.media import Kind, file_name, media_named, media_of
from tests.support.pdfs import pdf_with

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


@pytest.mark.parametrize(
    ("data", "kind", "content_type"),
    [
        (PNG, Kind.IMAGE, "image/png"),
        (b"\xff\xd8\xff\xe0", Kind.IMAGE, "image/jpeg"),
        (b"GIF89a<script>", Kind.IMAGE, "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", Kind.IMAGE, "image/webp"),
        (pdf_with(b""), Kind.PDF, "application/pdf"),
        (pdf_with(b"/OpenAction << /S /JavaScript /JS (app.alert) >>"), Kind.BINARY, "application/pdf"),
        (b'<svg xmlns="x"><script>alert(1)</script></svg>', Kind.SVG, "image/svg+xml"),
        (b"\n<?xml version='1.0'?><!-- <svg --><svg\n>", Kind.SVG, "image/svg+xml"),
        (b"<!doctype html><svg ></svg><script>alert(1)</script>", Kind.TEXT, "text/plain; charset=utf-8"),
        (b"<HTML><body onload=alert(1)>", Kind.TEXT, "text/plain; charset=utf-8"),
        (b"<script>alert(1)</script>", Kind.TEXT, "text/plain; charset=utf-8"),
        ("ä".encode(), Kind.TEXT, "text/plain; charset=utf-8"),
        (("x" * 1_023 + "ä").encode(), Kind.TEXT, "text/plain; charset=utf-8"),
        (b"", Kind.BINARY, "application/octet-stream"),
        (b"a\0b", Kind.BINARY, "application/octet-stream"),
        (b"\xff\xfe<\0h\0t\0m\0l\0", Kind.BINARY, "application/octet-stream"),
        (b"a\xff" * 10, Kind.BINARY, "application/octet-stream"),
    ],
)
def test_bytes_are_known_by_themselves(data: bytes, kind: Kind, content_type: str) -> None:
    assert media_of(data) == (kind, content_type)


def test_nothing_is_ever_sent_as_a_page() -> None:
    for data in (b"<html>", b"<!DOCTYPE html>", b"<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'>", b"%!PS", b"MZ"):
        assert media_of(data).content_type in ("text/plain; charset=utf-8", "application/octet-stream")


@pytest.mark.parametrize(
    ("named", "kind"),
    [
        ("image/png", Kind.IMAGE),
        ("IMAGE/JPEG; q=1", Kind.IMAGE),
        ("image/svg+xml", Kind.SVG),
        ("application/pdf", Kind.PDF),
        ("text/html", Kind.TEXT),
        ("application/json", Kind.TEXT),
        ("application/x-sh", Kind.BINARY),
        (None, Kind.BINARY),
        ("", Kind.BINARY),
    ],
)
def test_files_that_were_not_read_are_known_by_what_was_said_of_them(named: str | None, kind: Kind) -> None:
    assert media_named(named) is kind


def test_names_of_files_have_nothing_that_a_header_or_a_shell_reads() -> None:
    assert file_name("a/../b", 'x";\r\nSet-Cookie: y', "0") == "a-b-x-Set-Cookie-y-0"
    assert file_name("\u202e", "") == "value"
    assert len(file_name("x" * 500)) == 40
