"""Settings of monitoring that can't work are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from ckptstore import MonitoringSettings


@pytest.mark.parametrize("name", ["slow_write_seconds", "slow_read_seconds"])
def test_settings_that_can_not_work(name: str) -> None:
    wrong: dict[str, Any] = {name: -1}
    with pytest.raises(ValueError, match=name):
        MonitoringSettings(**wrong)
