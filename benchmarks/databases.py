"""Fresh databases, and what was stored in them, counted from outside."""

from __future__ import annotations

import secrets
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from ckptstore.db.url import parse_database_url

_PREFIX = "ckptstore_bench_"


class Database(Protocol):
    """A database of a contender's own."""

    #: What a saver is opened with.
    url: str

    async def create(self) -> None:
        """Make it, empty."""
        ...

    async def remove(self) -> None:
        """Remove it and all that lies beside it."""
        ...

    async def settle(self) -> None:
        """Have done now, after a bulk load, what the database does by itself sooner or later."""
        ...

    async def size(self) -> int:
        """Bytes of the database, without blobs."""
        ...

    async def parts(self) -> dict[str, int]:
        """Bytes of each table and index."""
        ...

    async def row_bytes(self, thread_id: str) -> int:
        """Bytes of every column of every row of one thread, in every table that has a `thread_id`."""
        ...

    def blobs(self) -> list[int]:
        """Bytes of each object that was stored outside the database."""
        ...


class SqliteFile:
    """A file in a folder of its own: every other file in there was put there by the saver, as a blob."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX)
        self.folder = Path(self._folder.name)
        self.url = str(self.folder / "checkpoints.sqlite")

    async def create(self) -> None:
        """Do nothing: a saver makes its file."""

    async def remove(self) -> None:
        self._folder.cleanup()

    async def settle(self) -> None:
        await self.size()

    async def size(self) -> int:
        # Pages of the file once the write-ahead log is merged into it: the log's length only tells when that last happened.
        with closing(sqlite3.connect(self.url)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
            page_size: int = connection.execute("PRAGMA page_size").fetchone()[0]
            return pages * page_size

    async def parts(self) -> dict[str, int]:
        with closing(sqlite3.connect(self.url)) as connection:
            try:
                return dict(connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall())
            except sqlite3.OperationalError:
                return {}  # this SQLite was built without dbstat

    async def row_bytes(self, thread_id: str) -> int:
        total = 0
        with closing(sqlite3.connect(self.url)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
                if "thread_id" in columns:
                    lengths = " + ".join(f'ifnull(length(CAST("{column}" AS BLOB)), 0)' for column in columns)
                    query = f'SELECT ifnull(sum({lengths}), 0) FROM "{table}" WHERE thread_id = ?'
                    total += connection.execute(query, (thread_id,)).fetchone()[0]
        return total

    def blobs(self) -> list[int]:
        database = {Path(self.url + suffix) for suffix in ("", "-wal", "-shm", "-journal")}
        return [path.stat().st_size for path in self.folder.rglob("*") if path.is_file() and path not in database]


class PostgresDatabase:
    """A database of its own on a server; whoever the URL names must be allowed to create one."""

    def __init__(self, server_url: str) -> None:
        self._server = parse_database_url(server_url)
        self._name = _PREFIX + secrets.token_hex(6)
        self.url = make_url(server_url).set(drivername="postgresql", database=self._name).render_as_string(hide_password=False)

    async def create(self) -> None:
        await _execute(self._server, f"CREATE DATABASE {self._name}")

    async def remove(self) -> None:
        await _execute(self._server, f"DROP DATABASE {self._name} WITH (FORCE)")

    async def settle(self) -> None:
        await _execute(self._own, "VACUUM (ANALYZE)")

    async def size(self) -> int:
        # Plain VACUUM, as autovacuum would do sooner or later: VACUUM FULL would hide the half-empty pages that a
        # saver's pattern of writes leaves, and that a live server keeps.
        await _execute(self._own, "VACUUM")
        return int((await _execute(self._own, _SIZE))[0][0])

    async def parts(self) -> dict[str, int]:
        return {row[0]: row[1] for row in await _execute(self._own, _PARTS)}

    async def row_bytes(self, thread_id: str) -> int:
        columns = await _execute(self._own, _COLUMNS_OF_THREADS)
        total = 0
        for table, names, types in columns:
            lengths = " + ".join(
                f'coalesce(octet_length("{name}"{"" if kind == "bytea" else "::text"}), 0)' for name, kind in zip(names, types, strict=True)
            )
            query = f"SELECT coalesce(sum({lengths}), 0) FROM \"{table}\" WHERE thread_id = '{thread_id}'"
            total += int((await _execute(self._own, query))[0][0])
        return total

    def blobs(self) -> list[int]:
        return []

    async def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement in this database."""
        return await _execute(self._own, statement)

    @property
    def _own(self) -> URL:
        return self._server.set(database=self._name)


# With indexes and what is stored out of line.
_SIZE = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""
_PARTS = """
    SELECT relname::text, pg_table_size(oid) FROM pg_class
    WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
"""
_COLUMNS_OF_THREADS = """
    SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position), array_agg(data_type::text ORDER BY ordinal_position)
    FROM information_schema.columns WHERE table_schema = 'public'
    GROUP BY table_name HAVING bool_or(column_name = 'thread_id')
"""


async def _execute(url: URL, statement: str) -> list[tuple[Any, ...]]:
    engine = create_async_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()
