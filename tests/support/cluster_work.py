"""Puts, prunes, copies and collects on threads that another process works on too; says what it was told was stored.

`python -m tests.support.cluster_work URL BLOBS NAME ROUNDS` writes to a namespace of its own within threads that all share. It prints a
line for each round, and at last, as JSON, the last checkpoints of each thread that were acknowledged: those that no prune deletes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from datetime import timedelta
from typing import Any

from ckptstore import DatabaseSettings, RetentionPolicy, SQLAlchemySaver
from tests.support.build import checkpoint, config, metadata

THREADS = tuple(f"shared {number}" for number in range(6))
#: What a prune keeps of each thread and namespace.
KEPT = 3
#: For as long as a node may be away.
RETRY_SECONDS = 60.0
# Above the threshold of objects.
_LARGE = 300_000


def opened(url: str, blobs: str) -> SQLAlchemySaver:
    """A saver that waits for a node."""
    return SQLAlchemySaver.from_conn_string(url, blob_url=blobs, settings=DatabaseSettings(retry_seconds=RETRY_SECONDS))


class Worker:
    """One process's part."""

    def __init__(self, saver: SQLAlchemySaver, name: str) -> None:
        self.saver = saver
        self.name = name
        #: By thread: ids of checkpoints that were acknowledged, and what each has.
        self.stored: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._last: dict[str, Any] = {}

    async def round(self, number: int) -> None:
        """Put to every thread at once, and do one of the others beside it."""
        others = (self._prune, self._copy, self._collect)
        await asyncio.gather(*(self._put(thread, number) for thread in THREADS), others[number % len(others)](number))

    async def _put(self, thread: str, number: int) -> None:
        where = self._last.get(thread) or config(thread, checkpoint_ns=self.name)
        step = {"n": f"{number + 1:010}.{'0' * 12}"}
        made = checkpoint({"n": number, "kept": f"{self.name} {thread} " * 20}, {**step, "kept": f"{1:010}.{'0' * 12}"})
        new: dict[str, Any] = {**step, "kept": f"{1:010}.{'0' * 12}"} if number == 0 else {**step}
        if number % 4 == 0:
            made["channel_values"]["file"] = f"{self.name}{number // 8}".encode() * _LARGE
            made["channel_versions"]["file"] = new["file"] = f"{number + 1:010}.{'1' * 12}"
        self._last[thread] = stored = await self.saver.aput(where, made, metadata(number, by=self.name), new)
        await self.saver.aput_writes(stored, [("n", number)], "task")
        self.stored[thread].append((stored["configurable"]["checkpoint_id"], number))

    async def _prune(self, _number: int) -> None:
        await self.saver.aprune_by(RetentionPolicy(keep_last=KEPT))

    async def _copy(self, number: int) -> None:
        target = f"copy by {self.name} {number % 6}"
        await self.saver.adelete_thread(target)
        await self.saver.acopy_thread(THREADS[number % len(THREADS)], target)

    async def _collect(self, _number: int) -> None:
        await self.saver.acollect(grace=timedelta(0))


async def main(url: str, blobs: str, name: str, rounds: str) -> None:
    async with opened(url, blobs) as saver:
        worker = Worker(saver, name)
        for number in range(int(rounds)):
            await worker.round(number)
            print(f"round {number}", flush=True)
        print(json.dumps({thread: stored[-KEPT:] for thread, stored in worker.stored.items()}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
