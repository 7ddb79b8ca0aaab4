"""Count the Python calls of one warm put and one warm get on SQLite: `python scripts/count_calls.py [--verbose]`.

Counted are the calls of ckptstore's own functions, in all worker threads, for one `aput`, one `aput_writes` and one `aget_tuple` of small
values with five metadata tags; and beside them those of Python's own modules for futures, threads and event loops, since what one of the
two does the other need not. Comprehensions count as calls on Python 3.11, where each has a frame of its own. Everyone pays for these
calls, so a change to the write path or the read path says how many there were before and after. Of several operations the one with the
fewest calls is reported: from time to time a put also moves the write-ahead log's pages.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import queue
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path
from types import FrameType
from typing import Any

from langgraph.checkpoint.base import empty_checkpoint

import ckptstore

PACKAGE = str(Path(ckptstore.__file__).parent)
#: What waits and wakes up, in Python's library.
LIBRARY = (str(Path(asyncio.__file__).parent), str(Path(concurrent.futures.__file__).parent), threading.__file__, queue.__file__)
#: Puts before the one that counts: connections are open, statements compiled, caches filled.
WARM_UP = 30
#: Operations of each kind that count.
COUNTED = 5
#: For what a call leaves to worker threads after it has returned.
SETTLE_SECONDS = 0.05


class Calls:
    """Counts calls while it is switched on."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.library = 0
        self.counted: list[tuple[Counter[tuple[str, str]], int]] = []
        self.counting = False
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, _argument: Any) -> None:
        code = frame.f_code
        if not self.counting or event != "call":
            return
        if code.co_filename.startswith(PACKAGE):
            self.counts[code.co_filename.removeprefix(PACKAGE)[1:], code.co_qualname] += 1
        elif code.co_filename.startswith(LIBRARY):
            self.library += 1

    async def of(self, awaitable: Awaitable[Any]) -> Any:
        """Count the calls of one operation; returns what it returns."""
        self.counts.clear()
        self.library = 0
        self.counting = True
        result = await awaitable
        await asyncio.sleep(SETTLE_SECONDS)
        self.counting = False
        self.counted.append((self.counts.copy(), self.library))
        return result

    def report(self, name: str, verbose: bool) -> None:
        """Print the operation with the fewest calls since the last report."""
        counts, library = min(self.counted, key=lambda counted: counted[0].total())
        self.counted.clear()
        functions, modules = len(counts), len({module for module, _ in counts})
        print(f"{name}: {counts.total()} calls in {functions} functions of {modules} modules, and {library} of Python's library")
        for (module, function), count in counts.most_common() if verbose else ():
            print(f"{count:6} {module} {function}")


async def main(verbose: bool) -> None:
    calls = Calls()
    config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    with tempfile.TemporaryDirectory() as folder:
        async with ckptstore.SQLAlchemySaver.from_conn_string(str(Path(folder) / "checkpoints.sqlite")) as saver:
            where = config
            for step in range(WARM_UP):
                made, version = empty_checkpoint(), f"{step + 1:08}.abcdefgh"
                made["channel_values"] = {"n": step, "messages": ["hello", "there", str(step)]}
                made["channel_versions"] = {"n": version, "messages": version}
                metadata: Any = {"source": "loop", "step": step, "parents": {}}
                metadata |= {"user": "ann", "session": "s1", "kind": "chat", "score": 0.5, "test": True}
                put = saver.aput(where, made, metadata, {"n": version, "messages": version})
                where = await (put if step < WARM_UP - COUNTED else calls.of(put))
                await saver.aput_writes(where, [("n", step), ("messages", ["hello"])], f"task-{step}")
            calls.report("aput", verbose)
            earlier = {"configurable": {**where["configurable"], "checkpoint_id": "earlier"}}
            for task in range(COUNTED):
                await calls.of(saver.aput_writes(earlier, [("n", 1), ("messages", ["hello"])], f"counted-{task}"))
            calls.report("aput_writes", verbose)
            # At the same time, so that every reading worker thread opens its connection.
            await asyncio.gather(*[saver.aget_tuple(config) for _ in range(WARM_UP)])
            for _ in range(COUNTED):
                await calls.of(saver.aget_tuple(config))
            calls.report("aget_tuple", verbose)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--verbose", action="store_true", help="list every function with its count")
    asyncio.run(main(parser.parse_args().verbose))
