"""Settings of monitoring that can't work are refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ckptstore import MonitoringSettings


@pytest.mark.parametrize("value", [-1, "1", None, math.nan])
@pytest.mark.parametrize("name", ["slow_write_seconds", "slow_read_seconds"])
def test_settings_that_can_not_work(name: str, value: Any) -> None:
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=name):
        MonitoringSettings(**wrong)
