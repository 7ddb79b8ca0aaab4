"""How much memory a process takes, and took at most."""

from __future__ import annotations

import pytest

from benchmarks import memory


@pytest.mark.skipif(not memory._PROCESS.exists(), reason="only /proc knows a peak that starts again")
def test_a_peak_is_remembered_until_it_is_restarted() -> None:
    memory.restart_peak()
    large = bytearray(b"x") * 100_000_000
    assert memory.rss() > len(large)
    del large
    peak = memory.peak_rss()
    assert peak > memory.rss() + 50_000_000
    memory.restart_peak()
    assert memory.rss() <= memory.peak_rss() < peak - 50_000_000
