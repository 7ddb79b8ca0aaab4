"""Lines of two texts."""

from __future__ import annotations

from ckptstore.langgraph.inspection.text_lines import changed_lines


def test_lines_that_differ() -> None:
    assert changed_lines("a\nb\nc", "a\nB\nc", 10) == ["@@ -1,3 +1,3 @@", " a", "-b", "+B", " c"]


def test_many_are_cut() -> None:
    found = changed_lines("\n".join("ab" * 50), "\n".join("cd" * 50), 7)
    assert len(found) == 8
    assert found[-1].endswith("more lines")


def test_only_texts_of_several_lines_have_lines() -> None:
    assert changed_lines("a", "b", 10) == []
    assert changed_lines(1, "a\nb", 10) == []
    assert changed_lines("a\nb", None, 10) == []
