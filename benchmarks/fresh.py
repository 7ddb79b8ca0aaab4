"""Pythons of their own for what is measured: nobody else's memory, imports or interpreter lock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

T = TypeVar("T")


def _run(call: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await call()

    return asyncio.run(main())


async def in_fresh_processes(*calls: Callable[[], Awaitable[T]]) -> list[T]:
    """Await each call in a process of its own, all of them at once; an error in one of them is raised here.

    Args:
        calls: functions of modules, or `partial`s of them: they are pickled, as what they return is.
    """
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(len(calls), mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        return await asyncio.gather(*(loop.run_in_executor(pool, _run, call) for call in calls))
