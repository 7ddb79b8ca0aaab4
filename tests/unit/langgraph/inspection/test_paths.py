"""Where a change is."""

from __future__ import annotations

import pytest

from ckptstore.langgraph.inspection.paths import shown_path


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ((), ""),
        (("a", 3, "content"), "a[3].content"),
        (("two words", "ä"), '["two words"].ä'),
        (("\x1b[31m",), '["\\x1b[31m"]'),
        ((0, "1st"), '[0]["1st"]'),
    ],
)
def test_keys_and_indexes(path: tuple[str | int, ...], shown: str) -> None:
    assert shown_path(path) == shown
