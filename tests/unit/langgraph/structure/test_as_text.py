"""Structures as text for a terminal."""

from __future__ import annotations

import pytest

from ckptstore.langgraph.structure.as_text import byte_count, inline, named, on_line, printable
from ckptstore.langgraph.structure.nodes import NotShown, Structure, Typed
from ckptstore.langgraph.structure.reading import structure_of
from ckptstore.records import Value
from tests.support.value_kinds import KINDS
from tests.support.values import SERDE


@pytest.mark.parametrize(
    "text", ["\x1b[31mred", "a\x9b31m", "back\rover", "one\ntwo", "right\u202eleft", "\u2066x", "zero\u200bwidth", "\ud800", "\x7f"]
)
def test_nothing_printed_controls_the_terminal(text: str) -> None:
    shown = [printable(text), inline({text: [text, Typed(text, {text: text}, "fields"), NotShown(text)]}, 400)]
    for line in shown:
        assert all(character.isprintable() for character in line), line
        line.encode()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("set", "{1, 2}"),
        ("decimal", "1.10"),
        ("uuid", "00000000-0000-0000-0000-000000000007"),
        ("date", "2020-02-29"),
        ("utc", "2020-01-01T00:00:00+00:00"),
        ("path", "a/b"),
        ("enum", "Mood(2)"),
        ("timedelta", "timedelta(-1, 0, 1)"),
        ("dataclass", 'Point(x=0.5, label="x", more=[<1 B, sha256 a1fce4363854>])'),
    ],
)
def test_objects_look_as_in_python(name: str, expected: str) -> None:
    assert inline(structure_of(Value(*SERDE.dumps_typed(KINDS["types"][name]))), 100) == expected


@pytest.mark.parametrize(("structure", "expected"), [("x" * 50, '"xxxxxxxx…'), (["ab", "cd", "ef"], '["ab", "c…'), ([1, 2], "[1, 2]")])
def test_a_line_has_so_many_characters_at_most(structure: Structure, expected: str) -> None:
    assert inline(structure, 10) == expected
    assert (on_line(structure, 10) is None) == expected.endswith("…")


def test_a_text_that_ends_with_an_ellipsis_is_whole() -> None:
    assert on_line("well…", 10) == '"well…"'


def test_a_large_structure_is_not_made_whole() -> None:
    class Counted(list[int]):
        """Counts what is taken from it."""

        taken = 0

        def __getitem__(self, index: object) -> int:  # type: ignore[override]
            raise AssertionError

        def __iter__(self):  # type: ignore[no-untyped-def]
            for each in super().__iter__():
                self.taken += 1
                yield each

    numbers = Counted(range(100_000))
    assert len(inline(numbers, 60)) == 60
    assert numbers.taken < 60


@pytest.mark.parametrize(
    ("size", "expected"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KB"), (200_000, "195 KB"), (5 * 2**30, "5.0 GB"), (2**60, "1048576 TB")],
)
def test_bytes_for_people(size: int, expected: str) -> None:
    assert byte_count(size) == expected


def test_a_name_without_characters_is_seen() -> None:
    assert (named(""), named("a\n")) == ('""', "a\\n")
    assert inline({"": None}, 40) == '{"": None}'
