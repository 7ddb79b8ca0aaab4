"""Texts in the columns of a terminal."""

from __future__ import annotations

import pytest

from ckptstore.langgraph.structure.columns import columns_of, cut, wrapped


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("é", 1), ("\N{DOG FACE}x", 3), ("", 0)])
def test_wide_characters_take_two_columns(text: str, columns: int) -> None:
    assert columns_of(text) == columns


CUTS = [("abcdef", 6, "abcdef"), ("abcdefg", 6, "abcde…"), ("日本語", 6, "日本語"), ("日本語x", 6, "日本…"), ("日", 1, "…")]
TEXTS = ["some words that are longer than a line", "日本語のテキストがここに入ります。", "mixed 日本語 and words " * 3, "x" * 50, ""]


@pytest.mark.parametrize(("text", "width", "expected"), CUTS)
def test_a_text_is_cut_to_columns(text: str, width: int, expected: str) -> None:
    assert cut(text, width) == expected


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("indent", ["", "  "])
def test_wrapped_lines_fit_and_lose_nothing(text: str, indent: str) -> None:
    lines = list(wrapped(text, 12, indent))
    assert all(columns_of(line) <= 12 for line in lines)
    assert "".join(line.removeprefix(indent) if n else line for n, line in enumerate(lines)).replace(" ", "") == text.replace(" ", "")
    assert all(line.startswith(indent) for line in lines[1:])
