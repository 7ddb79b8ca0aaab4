"""Rows that can't be read."""

from __future__ import annotations

import pytest

from ckptstore.inspection.unreadable import UNREADABLE, why_unreadable


@pytest.mark.parametrize("kind", UNREADABLE)
def test_the_kind_of_the_error_and_the_way_out_are_named_and_no_value(kind: type[Exception]) -> None:
    said = why_unreadable(kind("a secret value"))
    assert kind.__name__ in said
    assert "ckptstore blobs verify --deep" in said
    assert "secret" not in said
