"""Limits that never work are refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from ckptstore import SizeLimitedCheckpointer, SizeLimits
from ckptstore.errors import InvalidPolicy


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in ("max_checkpoint_bytes", "max_blob_bytes") for value in (0, -1, float("nan"))]
    + [("warn_at", value) for value in (-0.1, 1.1, float("nan"))],
)
def test_limits_that_never_work_are_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidPolicy, match=name):
        SizeLimits(**{name: value})


def test_an_infinite_limit_is_taken_or_refused_in_words() -> None:
    try:
        SizeLimitedCheckpointer(InMemorySaver(), float("inf"))
    except ValueError as exc:
        assert "max_size_mb" in str(exc)  # noqa: PT017
