"""A table of tagged checkpoints, the same for every saver, and the short way into each of them.

Threads of 10 checkpoints, 500 of them at a time: what was written at one moment lies far apart. Three small channels, of which
one changes a step; the newest checkpoint of each thread has a pending write.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice, pairwise
from typing import Any, NamedTuple, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.base.id import UUID
from sqlalchemy import Connection
from sqlalchemy.util import await_only
from tqdm import tqdm

from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, AnySaver, Contender
from benchmarks.workload import sentence, thread
from ckptstore import SQLAlchemySaver
from ckptstore.db import sql
from ckptstore.db.connection import Db
from ckptstore.langgraph.encode import NewCheckpointKey
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrites
from ckptstore.runtime.future import Future
from ckptstore.runtime.wakeups import settled
from ckptstore.values.encode import EncodedWrite, chunk_values, encode
from ckptstore.writes.commit import commit_batch
from ckptstore.writes.rows import BatchRows

STEPS = 10
TENANTS = 10
CHECKPOINTS_PER_USER = 100
#: Threads of the user that is asked for, however large the table is.
THREADS_OF_BUSY_USER = 100
#: So many in a row are of as many threads.
BATCH = 500
#: In microseconds.
SECOND = 1_000_000

TENANT, KIND, USER, RARE = "tenant-3", "chat", "user-0", "escalated"

_CHANNELS = ("question", "answer", "facts")
_TICKS_BEFORE_1970 = 122_192_928_000_000_000
_SHOW_AFTER_SECONDS = 5


Copy = Callable[[Sequence[EncodedWrite]], Iterable[Sequence[EncodedWrite]]]


class Entry(NamedTuple):
    """A checkpoint on its way in, and the writes that wait for it."""

    config: RunnableConfig
    checkpoint: Checkpoint
    metadata: dict[str, Any]
    new_versions: dict[str, Any]
    created_at: int
    writes: Sequence[tuple[str, Any]]

    @property
    def stored_as(self) -> RunnableConfig:
        """The config that names the checkpoint."""
        named = {**self.config["configurable"], "checkpoint_id": self.checkpoint["id"]}
        return {"configurable": named}


@dataclass
class _Thread:
    number: int
    config: RunnableConfig
    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """So many checkpoints; a second of the clock passes from one to the next, and the last one is of now.

    Args:
        size: how many; a multiple of 10.
    """

    size: int

    @property
    def threads(self) -> int:
        """How many threads they are in."""
        return self.size // STEPS

    @cached_property
    def started_at(self) -> int:
        """The moment of the first checkpoint, in microseconds since 1970."""
        return time.time_ns() // 1_000 - self.size * SECOND

    @cached_property
    def counts(self) -> Counter[str]:
        """How many checkpoints match what is asked for, counted one by one."""
        counts: Counter[str] = Counter()
        for place, _, _, metadata in self._all_metadata():
            common = metadata["tenant"] == TENANT
            counts["tenant"] += common
            counts["tenant, first half"] += common and place < self.size // 2
            counts["tenant and kind"] += common and metadata["kind"] == KIND
            counts["rare and kind"] += metadata.get("flag") == RARE and metadata["kind"] == KIND
            counts["tenant, late step"] += common and metadata["step"] >= STEPS - 2
            counts["threads of user"] += metadata["user"] == USER and metadata["step"] == 0
            counts["threads of tenant"] += common and metadata["step"] == 0
        return counts

    def entries(self, saver: AnySaver) -> Iterator[Entry]:
        """Every checkpoint in the order of time. Of `BATCH` in a row, no two are of one thread."""
        threads: dict[int, _Thread] = {}
        for place, number, step, metadata in self._all_metadata():
            if step == 0:
                threads[number] = _Thread(number, thread(thread_id(number)))
            current = threads[number] if step < STEPS - 1 else threads.pop(number)
            yield self._entry(saver, current, place, metadata)

    def _entry(self, saver: AnySaver, of: _Thread, place: int, metadata: dict[str, Any]) -> Entry:
        step: int = metadata["step"]
        changed = _CHANNELS if step == 0 else (_CHANNELS[step % len(_CHANNELS)],)
        of.values |= {channel: sentence(f"{of.number} {step} {channel}", 8).split() for channel in changed}
        new = {channel: saver.get_next_version(of.versions.get(channel), None) for channel in changed}
        of.versions |= new
        made = empty_checkpoint()
        created_at = self.started_at + place * SECOND
        made.update({"v": 4, "id": id_at(created_at), "channel_values": dict(of.values), "channel_versions": dict(of.versions)})
        made["versions_seen"] = {"__input__": {}, "agent": dict(new)}
        writes = [("answer", ["Nearly", "there"])] if step == STEPS - 1 else []
        entry = Entry(of.config, made, metadata, new, created_at, writes)
        of.config = entry.stored_as
        return entry

    def _all_metadata(self) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """Place in time, thread, step and metadata of each checkpoint."""
        chance = random.Random(self.size)  # noqa: S311 - the same tags for every saver
        tenants = [chance.randrange(TENANTS) for _ in range(self.threads)]
        # Twenty at least: half of them are of the kind that is asked for.
        between_rare = max(1, min(10_000, self.size // 20))
        between_busy = max(1, self.threads // THREADS_OF_BUSY_USER)
        users = max(2, self.size // CHECKPOINTS_PER_USER)
        place = 0
        for first in range(0, self.threads, BATCH):
            for step in range(STEPS):
                for number in range(first, min(first + BATCH, self.threads)):
                    rare, nth = place % between_rare == 0, place // between_rare
                    user = 0 if number % between_busy == 0 and number // between_busy < THREADS_OF_BUSY_USER else 1 + number % (users - 1)
                    metadata: dict[str, Any] = {
                        "source": "loop" if step else "input",
                        "step": step,
                        "parents": {},
                        "tenant": f"tenant-{tenants[number]}",
                        "kind": (KIND, "report")[nth % 2 if rare else chance.randrange(2)],
                        "user": f"user-{user}",
                    }
                    yield place, number, step, metadata | ({"flag": RARE} if rare else {})
                    place += 1


def id_at(created_at: int) -> str:
    """An id as LangGraph makes them at a moment (microseconds since 1970)."""
    ticks = created_at * 10 + _TICKS_BEFORE_1970
    return str(UUID(int=ticks >> 12 << 80 | (ticks & 0xFFF) << 64 | random.getrandbits(62), version=6))


def thread_id(number: int) -> str:
    """A name that says nothing of when its thread began, as those of real ones don't."""
    return f"{random.Random(number).getrandbits(96):024x}"  # noqa: S311


async def fill(contender: Contender, corpus: Corpus) -> None:
    """Store a corpus, and read one of its checkpoints back to see that it is there as if put."""
    saver = contender.saver
    with tqdm(total=corpus.size, desc=contender.name, unit=" checkpoints", delay=_SHOW_AFTER_SECONDS, leave=False, disable=None) as bar:
        if isinstance(saver, SQLAlchemySaver):
            sample = await fill_ours(saver, corpus, bar)
        else:
            async with _one_transaction(contender):
                sample = await _fill_by_puts(saver, corpus, bar)
    await check(contender, sample)
    assert contender.database
    await contender.database.settle()


def once(batch: Sequence[EncodedWrite]) -> Iterable[Sequence[EncodedWrite]]:
    """A batch as it is."""
    return (batch,)


async def fill_ours(saver: SQLAlchemySaver, corpus: Corpus, bar: Any, copies: Copy = once) -> Entry:
    """Encoded and stored as a saver does it; the next batch is encoded while one is stored.

    Args:
        saver: where they go.
        corpus: what goes there.
        bar: is told of each batch.
        copies: makes the batches that are stored out of each that was encoded.
    """
    entries = corpus.entries(saver)
    under_way: Future[None] | None = None
    while batch := list(islice(entries, min(BATCH, corpus.threads))):
        writes = [encode(record, lambda _: set(), chunk_values(record)) for entry in batch for record in _records(saver, entry)]
        for stored in copies(writes):
            if under_way is not None:
                await settled(under_way)
            under_way = saver.store.runner.write(partial(_store, stored))
            bar.update(len(batch))
        sample = batch[0]
    assert under_way is not None
    await settled(under_way)
    if not saver.store.runner.statements.on_sqlite:
        for first, end in pairwise(_PARTS_OF_IDS):
            await settled(saver.store.runner.write(partial(_count_threads, first, end)))
    return sample


def _store(writes: Sequence[EncodedWrite], db: Db) -> None:
    if db.on_sqlite:
        assert not any(commit_batch(db, writes))
    else:
        # Whole or not at all: after a fault it is done again.
        with db.transaction():
            _copy(db.connection, writes)


def _copy(connection: Connection, writes: Sequence[EncodedWrite]) -> None:
    """PostgreSQL's own way for many rows; a million checkpoints would take half an hour in batches."""
    rows = BatchRows(enumerate(writes)).parts
    driver: Any = connection.connection.driver_connection
    for part, (table, _) in sql.batch_parts.BATCH_ROWS.items():
        if part in rows:
            await_only(driver.copy_records_to_table(table.name, records=rows[part], columns=[column.name for column in table.c]))


_COUNT_THREADS = """
INSERT INTO ckpt_thread (thread_id, created_at, updated_at, generation, checkpoint_count, size)
SELECT thread_id, min(created_at), max(created_at), 1, count(*), sum(size) FROM ckpt_checkpoint
WHERE thread_id >= '{}' AND thread_id < '{}' GROUP BY thread_id
"""
# Ids of threads are hexadecimal. A statement about all of millions takes longer than a saver waits for an answer.
_PARTS_OF_IDS = [*(f"{number:02x}" for number in range(256)), "g"]


def _count_threads(first: str, end: str, db: Db) -> None:
    db.connection.exec_driver_sql(_COUNT_THREADS.format(first, end))


def _records(saver: SQLAlchemySaver, entry: Entry) -> list[NewCheckpoint | NewWrites]:
    configurable = entry.config["configurable"]
    key = CheckpointKey(configurable["thread_id"], configurable["checkpoint_ns"], entry.checkpoint["id"])
    parent, metadata = configurable.get("checkpoint_id"), cast(CheckpointMetadata, entry.metadata)
    new_key = NewCheckpointKey(key, parent, entry.created_at)
    records: list[NewCheckpoint | NewWrites] = [
        saver.encoder.checkpoint(entry.config, new_key, entry.checkpoint, metadata, set(entry.new_versions))
    ]
    if entry.writes:
        records.append(saver.encoder.writes(key, entry.writes, "task", "~__pregel_pull, agent", entry.created_at))
    return records


async def _fill_by_puts(saver: AnySaver, corpus: Corpus, bar: Any) -> Entry:
    for entry in corpus.entries(saver):
        stored_as = await saver.aput(entry.config, entry.checkpoint, cast(CheckpointMetadata, entry.metadata), entry.new_versions)
        if entry.writes:
            await saver.aput_writes(stored_as, entry.writes, "task", "~__pregel_pull, agent")
        bar.update()
    return entry


class _Uncommitted:
    """A connection of aiosqlite's whose commits wait."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def commit(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def _one_transaction(contender: Contender) -> AsyncIterator[None]:
    """An official saver's own puts as one transaction: a commit for each would take most of the time."""
    saver: Any = contender.saver
    of_its_own = saver.conn
    try:
        if contender.name == ASYNC_SQLITE:
            saver.conn = _Uncommitted(of_its_own)
            yield
            await of_its_own.commit()
        else:
            assert contender.name == ASYNC_POSTGRES
            async with of_its_own.connection() as connection, connection.transaction():
                saver.conn = connection
                yield
    finally:
        saver.conn = of_its_own


async def check(contender: Contender, sample: Entry) -> None:
    loaded = await contender.saver.aget_tuple(sample.stored_as)
    assert loaded is not None, f"{contender.name} lost a checkpoint"
    assert loaded.checkpoint["channel_values"] == sample.checkpoint["channel_values"]
    assert sample.metadata.items() <= cast(dict[str, Any], loaded.metadata).items()
    assert [write[1:] for write in loaded.pending_writes or ()] == list(sample.writes)
