"""Measure layouts of tags before one is built: `python scripts/measure_tag_layouts.py [--checkpoints N] [--url URL] [--puts N]`.

Fills a store with the benchmark's corpus and copies its tags into tables of other layouts (`scripts/tag_layouts.py`), in the order in which
a server with many callers inserts them; those of the newest checkpoints one checkpoint at a time. For each layout it prints the bytes of a
tag with everything, what a put writes to the log for its tags, and what the part of a search costs that reads tags, threads and
checkpoints: steps of SQLite's virtual machine, or pages that PostgreSQL looked at. These are counts, which other load does not change.
`docs/decisions/0007-tags-name-threads-by-numbers.md` has what it found. The server is found as in `scripts/measure_tags.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import psycopg
from measure_tags import fill, frames
from tag_layouts import CHECKPOINT, FUNCTIONS, POSTGRES, SQLITE, Layout, prepared

from benchmarks.corpus import KIND, TENANT, USER, Corpus
from benchmarks.servers import postgres
from ckptstore import DatabaseSettings, SQLAlchemySaver
from ckptstore.tags.encoding import postings


def hash_of(key: str, value: str) -> int:
    """48 bits of a hash, which SQLite stores in six bytes."""
    return int.from_bytes(hashlib.sha256(f"{key}\0{value}".encode()).digest()[:6], "big") - (1 << 47)


class SqliteCosts:
    """Pages of the log, bytes, and steps of the virtual machine, of a SQLite file."""

    layouts, first, unit = SQLITE, prepared("hash_of(key, value)"), "pages"

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.create_function("hash_of", 2, hash_of, deterministic=True)
        self._connection.create_function("half_of", 1, lambda text: int(text[:18].replace("-", ""), 16), deterministic=True)
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")
        self._steps = 0

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement."""
        return self._connection.execute(statement).fetchall()

    def settle(self) -> None:
        """Empty the log."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def written(self) -> int:
        """How many pages are in the log."""
        return sum(1 for _ in frames(self._log))

    def size(self, table: str) -> int:
        """The bytes of a table and its indexes."""
        names = f"SELECT name FROM sqlite_master WHERE tbl_name = '{table}'"
        return int(self.execute(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({names})")[0][0])

    def cost(self, search: str) -> int:
        """How many steps a statement takes."""
        self._steps = 0
        self._connection.set_progress_handler(self._step, 1)
        self.execute(search)
        self._connection.set_progress_handler(None, 1)
        return self._steps

    def _step(self) -> int:
        self._steps += 1
        return 0


class PostgresCosts:
    """Bytes of the log, bytes, and pages that are looked at, of a PostgreSQL database."""

    layouts, first, unit = POSTGRES, [*FUNCTIONS, *prepared("hashtextextended(key || chr(1) || value, 0)"), *CHECKPOINT.setup], "bytes"

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True)

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement."""
        cursor = self._connection.execute(statement)
        return cursor.fetchall() if cursor.description else []

    def settle(self) -> None:
        """Write everything, so that what follows is alike, and know which pages all transactions see."""
        self.execute("VACUUM ANALYZE")
        self.execute("CHECKPOINT")

    def written(self) -> int:
        """How many bytes were written to the log so far."""
        return int(self.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")[0][0])

    def size(self, table: str) -> int:
        """The bytes of a table and its indexes."""
        return int(self.execute(f"SELECT pg_total_relation_size('{table}')")[0][0])

    def cost(self, search: str) -> int:
        """How many pages a statement looks at."""
        # The plans that the store's own statements have, whatever the statistics say.
        for way in ("seqscan", "hashjoin", "mergejoin", "bitmapscan"):
            self.execute(f"SET enable_{way} = off")
        plan = self.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {search}")[0][0][0]["Plan"]
        self.execute("RESET ALL")
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def asked(costs: SqliteCosts | PostgresCosts) -> dict[str, Any]:
    """What the searches name: tags by their texts, numbers, columns and hashes, and a thread."""
    found: dict[str, Any] = {"thread": costs.execute("SELECT thread_id FROM ckpt_thread LIMIT 1 OFFSET 70")[0][0]}
    for posting in postings({"tenant": TENANT, "kind": KIND, "user": USER}):
        of_posting = f"key = '{posting.key}' AND value = '{posting.value}'"
        number, slot, hashed = costs.execute(f"SELECT number, slot, hash FROM try_value WHERE {of_posting}")[0]
        found[posting.key] = {0: posting.key, 1: posting.value, "number": number, "slot": slot, "hash": hashed}
    return found


def insert(costs: SqliteCosts | PostgresCosts, layout: Layout, puts: int) -> float:
    """Insert a layout's rows, and return what a checkpoint writes to the log, the mean of the newest ones."""
    if layout is not CHECKPOINT:
        for statement in layout.setup:
            costs.execute(statement)
    newest = costs.execute("SELECT max(nth) FROM try_tag")[0][0]
    costs.execute(layout.insert.format(at=f"nth <= {newest - 2 * puts}"))
    costs.settle()
    for nth in range(newest - 2 * puts + 1, newest + 1):
        if nth == newest - puts + 1:
            # The first ones also write whole pages, which PostgreSQL does after each of its checkpoints.
            before = costs.written()
        costs.execute(layout.insert.format(at=f"nth = {nth}"))
    written = (costs.written() - before) / puts
    costs.settle()
    return written


def measure(costs: SqliteCosts | PostgresCosts, puts: int) -> None:
    """Print what each layout takes and costs."""
    for statement in costs.first:
        costs.execute(statement)
    tags, names = costs.execute("SELECT count(*) FROM ckpt_tag")[0][0], asked(costs)
    alone = insert(costs, CHECKPOINT, puts) if isinstance(costs, PostgresCosts) else 0.0
    for layout in costs.layouts:
        written = insert(costs, layout, puts) - (alone if layout.base else 0)
        size = sum(map(costs.size, layout.tables)) - (costs.size(layout.base) if layout.base else 0)
        print(f"{layout.name}: {size / tags:.1f} bytes a tag, {written:,.1f} {costs.unit} of the log a put", flush=True)
        for label, search in layout.searches.items():
            print(f"  {label}: {costs.cost(search.format(**names)):,}", flush=True)


async def store(url: str, checkpoints: int) -> None:
    """Fill a store."""
    async with SQLAlchemySaver.from_conn_string(url, settings=DatabaseSettings(pool_size=1)) as saver:
        await saver.setup()
        await fill(saver, Corpus(checkpoints))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=100_000)
    parser.add_argument("--puts", type=int, default=300)
    parser.add_argument("--url", help="an empty database on a PostgreSQL server; `none` for SQLite alone")
    options = parser.parse_args()
    with postgres(options.url) as started, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tags.sqlite"
        asyncio.run(store(str(path), options.checkpoints))
        measure(SqliteCosts(path), options.puts)
        if server := started or (options.url if options.url != "none" else None):
            asyncio.run(store(server, options.checkpoints))
            measure(PostgresCosts(server), options.puts)


if __name__ == "__main__":
    main()
