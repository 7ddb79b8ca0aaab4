"""Writes as agents make them: each thread has a chain of checkpoints, and all of them are counted."""

from __future__ import annotations

import threading

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.trial_writes import writes_per_second


class AfterChecks(threading.Event):
    """An event that is set once it was looked at so often."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self._left = checks

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


async def test_each_agent_continues_a_thread_of_its_own(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        assert await writes_per_second(saver, 3, 1_000, AfterChecks(12)) > 0
        threads = await saver.alist_threads()
        assert {thread.thread_id for thread in threads} == {"agent 0", "agent 1", "agent 2"}
        assert sum(thread.checkpoints for thread in threads) == saver.stats().since_start.writes == 12
        stored = await saver.alist({"configurable": {"thread_id": "agent 0"}})
        parents = [found.parent_config and found.parent_config["configurable"]["checkpoint_id"] for found in stored]
        assert parents == [*[found.config["configurable"]["checkpoint_id"] for found in stored[1:]], None]


async def test_one_that_is_interrupted_before_it_begins_stores_nothing(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        assert await writes_per_second(saver, 2, 1_000, AfterChecks(0)) == 0
        assert await saver.alist_threads() == []
