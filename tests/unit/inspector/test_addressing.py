"""Parts of values, and how URLs name them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from ckptstore.errors import InvalidConfig
from ckptstore.inspector.addressing import bytes_at, elements_of, embedded_in, embedded_part, numbers_of, parse, part_at, shown
from ckptstore.langgraph.structure.nodes import NotShown, Pairs, Typed

VALUE = {
    "a": [1, {"b": b"x"}],
    2: Pairs((([1], "y"),)),
    "t": Typed("m.C", {"f": 1, "g": "z"}, "fields"),
    "s": Typed("m.S", "only", "value"),
}


@pytest.mark.parametrize("path", [(), (0,), (0, 12, 3)])
def test_paths_are_read_as_they_are_shown(path: tuple[int, ...]) -> None:
    assert parse(shown(path)) == path


@pytest.mark.parametrize("text", ["x", "-1", "1.", ".1", "1..2", "1e3", "٣", "9" * 10, "1,2"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="can't be read"):
        parse(text)


@pytest.mark.parametrize(
    ("path", "part"),
    [((), VALUE), ((0, 1, 0), b"x"), ((1, 0), "y"), ((2, 1), "z"), ((3, 0), "only")],
)
def test_parts_are_found_by_the_numbers_of_elements(path: tuple[int, ...], part: Any) -> None:
    assert part_at(VALUE, path) == part


@pytest.mark.parametrize("path", [(9,), (0, 0, 0), (3, 1)])
def test_parts_that_are_not_there_are_named(path: tuple[int, ...]) -> None:
    with pytest.raises(InvalidConfig, match="no such part"):
        part_at(VALUE, path)


def test_scalars_have_no_elements() -> None:
    assert [elements_of(each) for each in (1, "text", b"bytes", None, NotShown("x"))] == [[]] * 5


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [((), ()), (("a", 1, "b"), (0, 1, 0)), (("t", "g"), (2, 1)), (("x",), None), (("a", 7), None), (("a", 0, "c"), None)],
)
def test_keys_lead_to_numbers(keys: tuple[str | int, ...], numbers: tuple[int, ...] | None) -> None:
    assert numbers_of(VALUE, keys) == numbers


def test_files_in_texts() -> None:
    coded = base64.b64encode(b"file").decode()
    assert embedded_in(f"data:image/png;base64,{coded}") == b"file"
    assert embedded_in(f"data:;base64,{coded}") == b"file"
    for text in ("data:image/png,file", f"http://x/{coded}", "data:image/png;base64,!", ""):
        assert embedded_in(text) is None


def test_files_beside_their_media_type() -> None:
    coded = base64.b64encode(b"file").decode()
    assert embedded_part({"type": "image", "mime_type": "image/png", "base64": coded}) == (2, b"file")
    assert embedded_part({"media_type": "image/png", "data": coded}) == (1, b"file")
    for other in ({"data": coded}, {"mime_type": "image/png", "data": "!"}, {"mime_type": "image/png", "data": ""}, [coded], coded):
        assert embedded_part(other) is None


def test_bytes_of_parts() -> None:
    coded = base64.b64encode(b"file").decode()
    value = [b"x", "text", f"data:a/b;base64,{coded}", {"mime_type": "a/b", "data": coded, "name": "n"}, 1, "\ud800"]
    found = [bytes_at(value, path) for path in ((0,), (1,), (2,), (3, 1), (3, 2), (4,), (5,), ())]
    assert found == [b"x", b"text", b"file", b"file", b"n", None, b"\\ud800", None]
