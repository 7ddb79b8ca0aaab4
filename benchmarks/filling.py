"""The short way of a corpus into each saver's database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice, pairwise
from typing import Any, cast

from langgraph.checkpoint.base import CheckpointMetadata
from sqlalchemy.util import await_only
from tqdm import tqdm

from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, AnySaver, Contender
from benchmarks.corpus import BATCH, Corpus, Entry
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

_SHOW_AFTER_SECONDS = 5

Copy = Callable[[Sequence[EncodedWrite]], Iterable[Sequence[EncodedWrite]]]


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
            _copy(db, writes)


def _copy(db: Db, writes: Sequence[EncodedWrite]) -> None:
    """PostgreSQL's own way for many rows; a million checkpoints would take half an hour in batches."""
    rows = BatchRows(enumerate(writes)).parts
    driver: Any = db.connection.connection.driver_connection
    for part, (table, _) in sql.batch_parts.BATCH_ROWS.items():
        if table is sql.tables.TAG and db.statements.numbers_tags:
            # A view.
            db.insert(table, "keep", rows.get(part, []))
        elif part in rows:
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
