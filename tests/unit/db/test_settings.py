"""Database settings that can't work are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ckptstore import DatabaseSettings


@pytest.mark.parametrize("name", ["pool_size", "max_pending", "retry_seconds", "attempt_seconds", "synchronous"])
def test_settings_that_can_not_work(name: str) -> None:
    for value in ("OFF", -1, math.nan, None):
        wrong: dict[str, Any] = {name: value}
        with pytest.raises(ValueError, match=name):
            DatabaseSettings(**wrong)
