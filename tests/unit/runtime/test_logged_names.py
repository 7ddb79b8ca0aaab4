"""Names that were logged."""

from __future__ import annotations

from ckptstore.runtime import logged_names
from ckptstore.runtime.logged_names import LoggedNames


def test_a_name_is_logged_once() -> None:
    names = LoggedNames()
    assert [names.is_first(name) for name in ("a", "b", "a")] == [True, True, False]
    assert "a" in names
    assert "c" not in names


def test_names_from_outside_take_bounded_memory() -> None:
    names = LoggedNames()
    first = [names.is_first(str(number)) for number in range(logged_names._MAX_NAMES + 10)]
    assert sum(first) == logged_names._MAX_NAMES
    assert "never asked about" in names
