"""Pages from templates."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

import ckptstore.inspector
from ckptstore.inspector.rendering import link, page, static_file, static_url, streamed
from ckptstore.inspector.retention_page import LABELS

FOLDER = Path(ckptstore.inspector.__path__[0])
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))


def test_values_are_escaped() -> None:
    text = bytes(page("refused.html", sentence="<script>alert('&')</script>").body).decode()
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;." in text
    assert "<script>alert" not in text


def test_what_is_missing_is_an_error_and_no_gap() -> None:
    with pytest.raises(UndefinedError):
        page("welcome.html")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("it is gone", "It is gone."),
        ("Gone.", "Gone."),
        ("why is it?", "Why is it?"),
        ("a\u202eb", "a\\u202eb."),
        ("keep_last is", "keep_last is."),
        ("", "."),
    ],
)
def test_errors_are_sentences(said: str, shown: str) -> None:
    assert f"<p>{shown}</p>" in bytes(page("refused.html", sentence=said).body).decode()


def test_halves_of_surrogate_pairs_are_sent_by_their_codes() -> None:
    assert b'content="0;url=\\ud800"' in page("welcome.html", path="\ud800").body


def test_links_leave_out_what_is_none_and_encode_the_rest() -> None:
    assert link("/a") == "/a"
    assert link("/a", b=None, c="x&y=ä /", d=["1", "2"]) == "/a?c=x%26y%3D%C3%A4+%2F&d=1&d=2"
    assert link("/a", c="\ud800") == "/a?c=%3F"


async def test_a_page_begins_before_all_of_it_is_known() -> None:
    asked: list[str] = []

    def read() -> object:
        asked.append("read")
        return type("Problem", (), {"problem": "it is gone"})

    shown = {"given": dict.fromkeys(LABELS, ""), "labels": LABELS, "problem": None, "command": "", "has_secret": False}
    inspector = type("Inspector", (), {"name": "x", "redaction": type("R", (), {"patterns": ()})})
    response = streamed("retention.html", inspector=inspector, place="retention", read=read, **shown)
    chunks = [(len(asked), bytes(chunk)) async for chunk in response.body_iterator if not isinstance(chunk, str)]
    assert chunks[0][0] == 0
    assert b"Counting" in chunks[0][1]
    assert b"It is gone." in chunks[-1][1]


def test_files_have_urls_that_change_with_them() -> None:
    assert re.fullmatch(r"/static/inspector\.css\?v=[0-9a-f]{12}", static_url("inspector.css"))
    assert static_file("inspector.css").startswith(b"/*")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_have_nothing_that_the_policy_forbids(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|\s*safe|autoescape", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert "//" not in re.sub(r"http://www\.w3\.org\S*", "", text)


@pytest.mark.parametrize("name", ["inspector.css", "inspector.js", "icon.svg"])
def test_nothing_is_loaded_from_outside(name: str) -> None:
    text = static_file(name).decode()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|@import|innerHTML|eval\(|document\.write", text)
