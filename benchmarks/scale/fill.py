"""Fills a PostgreSQL store of many checkpoints: 100,000 are encoded, and stored in several copies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from tqdm import tqdm

from benchmarks.contenders import Contender
from benchmarks.corpus import BATCH, SECOND, USER, Corpus, id_at
from benchmarks.filling import check, fill_ours
from ckptstore.records import CheckpointKey, NewCheckpoint, Posting, WriteRecord
from ckptstore.tags.encoding import encode_value
from ckptstore.values.encode import EncodedWrite

_ENCODED = 100_000
# Odd, and far from a power of two: the copies of a thread lie far apart.
_STRIDE = 0x9E3779B97F4A7C15F39CC061
_WITHOUT_AUTOVACUUM = """
SELECT format('ALTER TABLE %I SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)', relname)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_CARELESS = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "'4GB'"}


async def fill(contender: Contender, checkpoints: int, connection: Any) -> None:
    """Store so many checkpoints, which no vacuum has seen.

    Args:
        contender: the saver, on an empty database.
        checkpoints: a multiple of 10; from 200,000 on, of 100,000.
        connection: of asyncpg, to the same database.
    """
    for (statement,) in await connection.fetch(_WITHOUT_AUTOVACUUM):
        await connection.execute(statement)
    count = max(1, checkpoints // _ENCODED)
    corpus = Corpus(checkpoints // count)
    saver: Any = contender.saver
    with tqdm(total=checkpoints, desc=contender.name, unit=" checkpoints", leave=False, mininterval=10, disable=None) as bar:
        sample = await fill_ours(saver, corpus, bar, Copies(corpus, count).of)
    if count == 1:
        await check(contender, sample)


class Copies:
    """Copies of the batches of a corpus: the same values, under other threads, ids, moments and users.

    Args:
        corpus: where the batches come from.
        count: how many each becomes. A copy follows the other: as many threads more are written to at a time.
    """

    def __init__(self, corpus: Corpus, count: int) -> None:
        self._corpus = corpus
        self._count = count
        self._started_at = corpus.started_at - corpus.size * (count - 1) * SECOND
        self._newest: dict[str, str] = {}

    def of(self, batch: Sequence[EncodedWrite]) -> Iterator[Sequence[EncodedWrite]]:
        """All copies of a batch."""
        if self._count == 1:
            yield batch
            return
        for number in range(self._count):
            yield [write._replace(record=self._copied(write.record, number)) for write in batch]

    def _copied(self, record: WriteRecord, number: int) -> WriteRecord:
        thread_id = f"{(int(record.key.thread_id, 16) + number * _STRIDE) % 2**96:024x}"
        place, within = divmod((record.created_at - self._corpus.started_at) // SECOND, BATCH)
        created_at = self._started_at + ((place * self._count + number) * BATCH + within) * SECOND
        if not isinstance(record, NewCheckpoint):
            # It is the last of its thread.
            return record._replace(key=CheckpointKey(thread_id, "", self._newest.pop(thread_id)), created_at=created_at)
        parent, id_ = self._newest.get(thread_id), id_at(created_at)
        self._newest[thread_id] = id_
        key, postings = CheckpointKey(thread_id, "", id_), record.postings
        metadata = record.metadata
        if number and (user := next(each for each in postings if each.key == "user")).value != encode_value(USER):
            # As many checkpoints of each user as in a corpus of this size.
            other = f"{user.value}-{number}"
            postings, metadata = postings - {user} | {Posting("user", other)}, metadata.replace(user.value[1:], other[1:])
        return record._replace(key=key, parent_checkpoint_id=parent, created_at=created_at, metadata=metadata, postings=frozenset(postings))


@asynccontextmanager
async def careless(server: str) -> AsyncIterator[None]:
    """A server of our own that does not wait for its disk meanwhile. What is measured on it comes after."""
    connection = await asyncpg.connect(server)
    try:
        for name, value in _CARELESS.items():
            await connection.execute(f"ALTER SYSTEM SET {name} = {value}")
        await connection.execute("SELECT pg_reload_conf()")
        yield
    finally:
        for name in _CARELESS:
            await connection.execute(f"ALTER SYSTEM RESET {name}")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.execute("CHECKPOINT")
        await connection.close()
