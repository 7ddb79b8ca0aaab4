"""Beside upkeep: the longest wait of a put of another thread while a thread of 5,000 checkpoints is copied, pruned, deleted.

A thread's puts follow each other without a pause. The one before the upkeep begins, and the one after it ended, count too. One lap is
enough for the longest of hundreds of puts.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from langgraph.checkpoint.serde.encrypted import EncryptedSerializer

from benchmarks.bench import Bench
from benchmarks.contenders import OURS, Contender
from benchmarks.report import Table
from benchmarks.sections.latency import milliseconds
from benchmarks.sections.steps import values_of
from benchmarks.workload import HandMade
from ckptstore import RetentionPolicy, SQLAlchemySaver

LARGE = "large"
COPY = "copy"
CHECKPOINTS = 5_000
# Blobs that nothing refers to, for the garbage collection.
BLOBS = 500


class Savers(NamedTuple):
    """Two savers on one database."""

    saver: SQLAlchemySaver
    #: With another serialiser, and a folder for blobs.
    other: SQLAlchemySaver


def _collect(savers: Savers) -> Awaitable[Any]:
    return savers.other.acollect(grace=timedelta(0))


# In this order: each leaves the next one enough to do.
UPKEEP: Mapping[str, Callable[[Savers], Awaitable[Any]]] = {
    "nothing": lambda _savers: asyncio.sleep(0.5),
    "copy_thread": lambda savers: savers.saver.acopy_thread(LARGE, COPY),
    "dry run of a prune": lambda savers: savers.saver.aprune_by(RetentionPolicy(keep_last=1), dry_run=True),
    "delete_thread": lambda savers: savers.saver.adelete_thread(COPY),
    "rebuild_tags": lambda savers: savers.saver.arebuild_tags(),
    "verify": lambda savers: savers.other.averify(deep=True),
    "relocate_blobs": lambda savers: savers.other.arelocate_blobs(),
    "collect that marks": _collect,
    "collect that deletes": _collect,
    "reencrypt": lambda savers: savers.other.areencrypt(savers.saver.serde),
    "delete_for_runs": lambda savers: savers.saver.adelete_for_runs(["run 0"]),
    "prune": lambda savers: savers.saver.aprune_by(RetentionPolicy(keep_last=1)),
    "vacuum": lambda savers: savers.saver.avacuum(),
}


async def fill(saver: SQLAlchemySaver, checkpoints: int) -> None:
    """A thread with a text in segments and five tags a checkpoint."""
    large = HandMade(saver, LARGE)
    for step in range(checkpoints):
        large.tags = {"run_id": f"run {step % 10}", "user": "ann", "kind": "chat"}
        await large.put(**values_of(step), text=f"{step} " * 400)


@asynccontextmanager
async def other_saver(contender: Contender, blobs: int) -> AsyncIterator[SQLAlchemySaver]:
    """Another saver on the contender's database, which has so many blobs that nothing refers to."""
    assert contender.database is not None
    serde = EncryptedSerializer.from_pycryptodome_aes(key=b"sixteen bytes..!")
    with TemporaryDirectory() as folder:
        async with SQLAlchemySaver.from_conn_string(contender.database.url, serde=serde, blob_url=folder) as saver:
            for number in range(blobs):
                await saver.blobs.put(str(number).encode())
            yield saver


async def longest_wait(savers: Savers, upkeep: Callable[[Savers], Awaitable[Any]], name: str) -> float:
    """Milliseconds of the longest put to a thread beside an upkeep."""
    beside, step = HandMade(savers.saver, json.dumps(["beside", name])), 0
    waits = [await milliseconds(beside.put(**values_of(step)))]
    task = asyncio.ensure_future(upkeep(savers))
    while not task.done():
        step += 1
        waits.append(await milliseconds(beside.put(**values_of(step))))
    await task
    return max(waits)


async def lap(contender: Contender, checkpoints: int, blobs: int) -> dict[str, float]:
    """The longest wait beside each upkeep, in a fresh database."""
    async with contender:
        assert isinstance(contender.saver, SQLAlchemySaver)
        await fill(contender.saver, checkpoints)
        async with other_saver(contender, blobs) as other:
            savers = Savers(contender.saver, other)
            return {name: await longest_wait(savers, upkeep, name) for name, upkeep in UPKEEP.items()}


async def run(bench: Bench) -> list[Table]:
    """Measure ckptstore alone: the official savers have no such upkeep."""
    ours = replace(bench.among([contender for contender in bench.contenders if contender.name in OURS]), laps=1)
    checkpoints = bench.size(CHECKPOINTS, 60, quick=1_000)
    table = ours.table(f"the longest wait of a put beside upkeep of {checkpoints:,} checkpoints, ms")
    laps = await ours.interleaved(partial(lap, checkpoints=checkpoints, blobs=bench.size(BLOBS, 5)))
    for name in UPKEEP:
        table.add(f"beside {name}, ms", {contender: [waits[name] for waits in each] for contender, each in laps.items()})
    return [table]
