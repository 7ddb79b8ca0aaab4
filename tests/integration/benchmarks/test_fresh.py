"""What is measured in a process of its own does run in one."""

from __future__ import annotations

import asyncio
import os
from functools import partial

import pytest

from benchmarks.fresh import in_fresh_processes


@pytest.mark.starts_processes
async def test_each_call_has_a_process_of_its_own_and_an_error_in_one_is_raised_here() -> None:
    pids = await in_fresh_processes(*[partial(asyncio.to_thread, os.getpid)] * 2)
    assert len({*pids, os.getpid()}) == 3
    with pytest.raises(ValueError, match="invalid literal"):
        await in_fresh_processes(partial(asyncio.to_thread, int, "no number"))
