"""Batches as a saver commits them, recorded and made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from ckptstore import SQLAlchemySaver
from ckptstore.records import Posting
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite
from ckptstore.writes.attempt import MissingParts
from ckptstore.writes.commit import commit_batch
from tests.support.attempts import new_checkpoint
from tests.support.build import chain, checkpoint, config, metadata, put

#: What JSON, SQL or a careless join of texts would trip over.
ODD = "a'b\"c\\d\n\x1f; -- 😀\u2028$[0]"
LONG = [f"message {number}: " + "word " * 40 for number in range(300)]


def recorded(saver: SQLAlchemySaver) -> list[Sequence[EncodedWrite]]:
    """The batches that a saver commits from here on."""
    queue = saver.store._queue._committer
    commit, batches = queue._commit_batch, list[Sequence[EncodedWrite]]()

    def noted(connection: Any, batch: Sequence[EncodedWrite], lock_seconds: float) -> Sequence[Any]:
        batches.append(batch)
        return commit(connection, batch, lock_seconds)

    queue._commit_batch, queue._begin_batch = noted, None
    return batches


async def work(saver: SQLAlchemySaver) -> None:
    """Some of everything: values of every size, what is carried over, known segments, odd texts, writes of both kinds, a replacement."""
    await chain(saver, "chain", 5, tags=["a", "b"], nested={"deep": {"er": True}})
    where = await put(
        saver, config(ODD, checkpoint_ns=ODD), {ODD: ODD, "long": LONG, "bytes": b"\0" * 2_000}, **dict[str, Any]({ODD: ODD, "none": None})
    )
    await saver.aput_writes(where, [("x", LONG), (ODD, None), ("bytes", bytes(range(256)) * 20)], ODD, task_path=ODD)
    await saver.aput_writes(where, [("x", "again, and left alone")], ODD)
    for error in ("first", "last"):
        await saver.aput_writes(where, [("__error__", error)], "failing")
    carried = checkpoint({ODD: ODD, "long": [*LONG, "one more"]}, {ODD: f"{1:010}.{'0' * 12}", "long": f"{2:010}.{'0' * 12}"})
    for step in (7, 8):
        await saver.aput(where, carried, metadata(step), {"long": f"{2:010}.{'0' * 12}"})


async def saver_commit(saver: SQLAlchemySaver, batch: Sequence[EncodedWrite]) -> Sequence[MissingParts | None]:
    """Commit a batch beside the saver's queue."""
    await asyncio.to_thread(saver.setup)
    return await settled(saver.store.runner.write(partial(commit_batch, batch=batch)))


def small_checkpoint(thread_id: str, name: str, posting: str = "p") -> EncodedWrite:
    return new_checkpoint(thread_id, name, metadata=f'{{"{posting}": ""}}', postings=frozenset({Posting(posting, "s")}))
