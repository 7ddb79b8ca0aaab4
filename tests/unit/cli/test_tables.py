"""Tables, JSON and times of the commands that show data."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from rich.text import Text

from ckptstore.cli.tables import Column, count, moment, print_json, print_table

COLUMNS = [Column("name"), Column("words", cut=True), Column("more", cut=True)]


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        ("80", ["name   words                         more", "short  some words that take a while  and more of them"]),
        ("40", ["name   words            more", "short  some words tha…  and more of them"]),
        ("10", ["name   words     more", "short  some wo…  and mor…"]),
    ],
)
def test_only_what_may_be_cut_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str, lines: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    print_table(COLUMNS, [["short", "some words that take a while", "and more of them"]])
    assert capsys.readouterr().out.splitlines() == lines


def test_what_is_folded_is_there_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table([Column("thread", folded=True), Column("size", right=True)], [["x" * 70, "12 MB"], ["ann", "1 B"]])
    lines = capsys.readouterr().out.splitlines()
    # Releases of rich before 15 make the table two columns wider.
    assert [line.split() for line in lines] == [["thread", "size"], ["x" * 33, "12", "MB"], ["x" * 33], ["xxxx"], ["ann", "1", "B"]]


def test_markup_and_controls_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column("[b]x[/b]")], [["[red]a[/red] :smile:\x1b[1m\n"], [Text("b")]])
    assert capsys.readouterr().out == "[b]x[/b]\n[red]a[/red] :smile:\\x1b[1m\\n\nb\n"


def test_wide_characters_take_two_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Column("a"), Column("b")], [["\N{DOG FACE}", "x"], ["y", "z"]])
    assert capsys.readouterr().out.splitlines()[1:] == ["\N{DOG FACE}  x", "y   z"]


def test_json_is_ascii_and_knows_times(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"at": datetime(2026, 1, 2, tzinfo=UTC), "text": "é\x9b"})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown) == {"at": "2026-01-02T00:00:00+00:00", "text": "é\x9b"}
    with pytest.raises(TypeError):
        print_json({"x": object()})


def test_times_are_in_utc_and_numbers_have_commas() -> None:
    assert moment(datetime(2026, 1, 2, 0, 30, tzinfo=timezone(timedelta(hours=1)))) == "2026-01-01 23:30:00"
    assert count(1234567) == "1,234,567"
