"""Structures as HTML."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckptstore.inspector.structure_html import Links, StructureHtml
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Structure, Typed
from ckptstore.langgraph.structure.redaction import REDACTED
from tests.support.pdfs import pdf_with

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}"
LINKS = Links(lambda path, start: f"/more?{path}{start}", lambda path: f"/raw?path={'.'.join(map(str, path))}")
VOID = {"img"}


class Tags(HTMLParser):
    """Takes HTML apart, and sees to it that every element ends."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], text

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def html(structure: Structure, **where: Any) -> str:
    return str(StructureHtml(LINKS).whole(structure, **where))


def message(content: Structure, kind: str = "HumanMessage", **fields: Structure) -> Typed:
    return Typed(f"langchain_core.messages.{kind}", {"content": content, "type": kind.removesuffix("Message").lower(), **fields}, "fields")


def handle(**fields: Any) -> Typed:
    return Typed("ckptstore.BlobRef", {"id": f"ckptblob:{'0' * 64}", "size": 5, "media_type": None, **fields}, "fields")


TEXTS = st.just(HOSTILE) | st.text()
SCALARS = TEXTS | st.integers() | st.floats() | st.none() | st.booleans() | st.binary() | st.builds(NotShown, TEXTS)
NODES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXTS, inner, max_size=4)
        | st.builds(lambda key, value: Pairs(((key, value),)), inner, inner)
        | st.builds(lambda name, fields: Typed(name, fields, "fields"), TEXTS, st.dictionaries(TEXTS, inner, max_size=3))
        | st.builds(lambda name, value: Typed(name, value, "value"), TEXTS, inner)
        | st.builds(lambda content, calls, more: message(content, tool_calls=calls, more=more), inner, st.lists(inner, max_size=2), inner)
        | st.builds(lambda id_, size, kind: handle(id=id_, size=size, media_type=kind), TEXTS, inner, inner)
    ),
    max_leaves=10,
)
ALLOWED = set(re.findall(r"\w+", "a code dd details div dl dt figcaption figure header iframe img li ol p pre span summary"))


@given(NODES)
def test_whatever_is_stored_makes_only_elements_of_ours(structure: Structure) -> None:
    found = Tags(html(structure))
    assert {tag for tag, _ in found.tags} <= ALLOWED
    for _, attributes in found.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert all(str(attributes[name]).startswith(("/raw?", "/more?")) for name in ("href", "src") if name in attributes)


@pytest.mark.parametrize(
    "structure",
    [
        HOSTILE,
        {HOSTILE: 1},
        [HOSTILE, b"x"],
        Typed(HOSTILE, {HOSTILE: b"x"}, "fields"),
        NotShown(HOSTILE),
        message(HOSTILE, name=HOSTILE, tool_call_id=HOSTILE),
        message([{"type": HOSTILE, "text": HOSTILE}, {"type": "image_url", "image_url": {"url": HOSTILE}}]),
        message("", tool_calls=[{"name": HOSTILE, "args": {HOSTILE: HOSTILE}, "id": HOSTILE}]),
        message("", role=HOSTILE),
        handle(media_type=HOSTILE),
        handle(id=HOSTILE),
        HOSTILE.encode(),
        f"<html>{HOSTILE}</html>".encode(),
    ],
)
def test_hostile_values_are_text(structure: Structure) -> None:
    text = html(structure)
    assert "<script" not in text
    assert "<img src=x" not in text
    assert "alert(1)" in Tags(text).text


def test_what_fits_is_on_a_line() -> None:
    assert html({"a": 1, "b": [True, None]}) == "<code>{a: 1, b: [True, None]}</code>"
    assert html(Typed("uuid.UUID", "0" * 32, "value")) == "<code>00000000-0000-0000-0000-000000000000</code>"
    assert html(1.5) == '<span class="literal">1.5</span>'


def test_long_texts_are_cut_and_linked() -> None:
    text = html("x" * 5_000)
    assert 'href="/raw?path="' in text
    assert "1,000 more characters" in text
    assert "x" * 4_001 not in text


def test_long_lists_are_cut_and_go_on_elsewhere() -> None:
    numbers = [{"number": "x" * 80, "n": n} for n in range(100)]
    assert "60 more" in html(numbers)
    rest = html(numbers, start=90)
    assert Tags(rest).text.startswith("90")
    assert "more" not in rest


def test_deep_values_are_cut_and_linked() -> None:
    value: Structure = "x" * 80
    for _ in range(30):
        value = {"key": value}
    assert ">show</a>" in html(value)


def test_messages_are_a_conversation_whose_end_is_shown() -> None:
    many = [message(f"text {n}", "AIMessage" if n % 2 else "HumanMessage") for n in range(50)]
    text = html(many)
    assert "20 earlier messages" in text
    assert "text 49" in text
    assert "text 19" not in text
    assert re.findall(r'class="message (\w+)"', text)[:2] == ["human", "ai"]
    first = html(many, start=0)
    assert "20 later messages" in first
    assert 'start="1"' in first


def test_a_message_has_tools_names_and_more() -> None:
    call = {"name": "search", "args": {"q": "weather", "file": b"GIF89a"}, "id": "c1", "type": "tool_call"}
    text = html(
        [message("", "AIMessage", tool_calls=[call], usage_metadata={"tokens": 5}), message("ok", "ToolMessage", tool_call_id="c1")]
    )
    assert '<span class="tool-name">search</span>' in text
    assert "answers c1" in text
    assert "<summary>usage_metadata</summary>" in text
    # The picture in the arguments is addressed through the message, its calls, and their arguments.
    assert 'src="/raw?path=0.2.0.1.1"' in text


def test_a_short_message_is_a_message() -> None:
    for value in (message("ok"), [message("ok")]):
        assert 'class="message human"' in html(value)


def test_parts_of_a_content() -> None:
    coded = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded}"}},
        {"type": "image", "mime_type": "image/png", "base64": coded},
        {"type": "image_url", "image_url": {"url": "https://evil.example/pixel.png"}},
    ]
    text = html([message(parts)])
    assert re.findall(r'<img src="([^"]*)"', text) == ["/raw?path=0.0.1.1.0", "/raw?path=0.0.2.2"]
    assert "https://evil.example/pixel.png" in Tags(text).text


@pytest.mark.parametrize(
    ("value", "element"),
    [
        (b"\x89PNG\r\n\x1a\n", "img"),
        (b"<svg><script/></svg>", "img"),
        (pdf_with(b""), "iframe"),
        (b"plain", "pre"),
        (b"<html>", "pre"),
        (handle(media_type="image/png"), "img"),
        (handle(media_type="application/pdf"), "iframe"),
    ],
)
def test_files_are_previewed(value: Structure, element: str) -> None:
    assert element in {tag for tag, _ in Tags(html({"file": value})).tags}


@pytest.mark.parametrize("value", [b"\0\1", pdf_with(b"/OpenAction << /S /JavaScript >>"), handle(media_type="text/html"), handle()])
def test_what_could_run_is_only_described(value: Structure) -> None:
    found = Tags(html(value))
    assert {tag for tag, _ in found.tags} <= {"figure", "figcaption", "span", "a"}
    assert "open" in found.text


def test_what_is_hidden_says_so() -> None:
    assert html(REDACTED) == '<span class="redacted">redacted</span>'
    assert html(NotShown("pickled")) == '<span class="not-shown">pickled</span>'
