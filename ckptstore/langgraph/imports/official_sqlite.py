"""The file of LangGraph's SqliteSaver or AsyncSqliteSaver as the source of an import. It is opened read-only, and may be in use."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ckptstore.errors import CheckpointCorrupt, InvalidSource, brief
from ckptstore.langgraph.imports.records import RawRecords, time_of_id
from ckptstore.langgraph.imports.spooled import SpooledThreads
from ckptstore.records import CheckpointKey
from ckptstore.tags.filters import Filter
from ckptstore.transfer.parcel import Choice, SourceThread
from ckptstore.transfer.record_source import Imported
from ckptstore.transfer.remembered import origin_of
from ckptstore.transfer.spool import Spool

_THREADS_PER_PAGE = 500
# What a checkpoint is taken to have: the number of bytes would be known only by reading them.
_BYTES_PER_CHECKPOINT = 8 * 1024
_COLUMNS = {
    "checkpoints": {"thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "type", "checkpoint", "metadata"},
    "writes": {"thread_id", "checkpoint_ns", "checkpoint_id", "task_id", "idx", "channel", "type", "value"},
}
_CHECKPOINT, _WRITE = "checkpoint", "write"


def open_read_only(path: Path) -> sqlite3.Connection:
    """A connection that can't write, for one user at a time.

    Raises:
        InvalidSource: there is no such file, or it can't be opened.
    """
    try:
        if not path.is_file():
            raise InvalidSource(f"{path} {'is no file' if path.exists() else 'does not exist'}; give the file of the saver")
        return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, check_same_thread=False, isolation_level=None)
    except sqlite3.Error as exc:
        raise InvalidSource(f"{path} can't be opened for reading: {exc}") from exc
    except OSError as exc:
        raise InvalidSource(f"{brief(str(path))} can't be opened for reading: {exc.strerror}") from exc


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    """The columns of a table; none if it does not exist."""
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


class OfficialSqlite:
    """Reads the tables of an official SQLite saver.

    Args:
        path: the file.
        records: makes records of its rows.

    Raises:
        InvalidSource: the file is no SQLite database, or has no such tables.
    """

    def __init__(self, path: Path, records: RawRecords) -> None:
        self._name = str(path)
        self.origin = origin_of("official", str(path.resolve()))
        self._records = records
        self._lock = threading.Lock()
        self._connection = open_read_only(path)
        try:
            self._check()
        except BaseException:
            self._connection.close()
            raise

    def _check(self) -> None:
        try:
            found = {table: columns_of(self._connection, table) for table in _COLUMNS}
        except sqlite3.DatabaseError as exc:
            raise InvalidSource(f"{self._name} can't be read as a SQLite database: {exc}") from exc
        if "thread_ts" in found["checkpoints"]:
            raise InvalidSource(f"{self._name} was written by LangGraph before 0.2 (August 2024), without namespaces; it can't be imported")
        if not all(needed <= found[table] for table, needed in _COLUMNS.items()):
            own = columns_of(self._connection, "ckpt_checkpoint")
            instead = "; it is a store of ckptstore: use ckptstore copy --from" if own else ""
            raise InvalidSource(f"{self._name} has no tables of an official saver (checkpoints, writes){instead}")
        self._task_path = "task_path" if "task_path" in found["writes"] else "''"

    def close(self) -> None:
        """Close the file, after what is being read."""
        with self._lock:
            self._connection.close()

    # --- threads

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `RecordReader.threads`."""
        after: str | None = None
        while page := await asyncio.to_thread(self._page, after):
            after = page[-1][0]
            chosen = [row for row in page if _is_chosen(row, choice)]
            if choice.wanted is not None:
                chosen = await asyncio.to_thread(self._matching, chosen, choice.wanted)
            yield [_thread(row) for row in chosen]

    def _page(self, after: str | None) -> list[Any]:
        """The next threads: id, number of checkpoints, greatest rowid of one, greatest id of one, number of writes, greatest rowid of one.

        A row that is replaced gets another rowid.
        """
        where = "" if after is None else "WHERE thread_id > ?"
        writes = ", ".join(f"(SELECT {each} FROM writes WHERE writes.thread_id = page.thread_id)" for each in ("count(*)", "max(rowid)"))
        page = (
            f"SELECT thread_id, count(*) AS checkpoints, max(rowid) AS last, max(checkpoint_id) AS newest FROM checkpoints {where} "
            f"GROUP BY thread_id ORDER BY thread_id LIMIT {_THREADS_PER_PAGE}"
        )
        query = f"SELECT thread_id, checkpoints, last, newest, {writes} FROM ({page}) AS page ORDER BY thread_id"
        with self._lock:
            return self._connection.execute(query, () if after is None else (after,)).fetchall()

    def _matching(self, rows: Sequence[Any], wanted: Filter) -> list[Any]:
        with self._lock:
            return [row for row in rows if self._matches(row[0], wanted)]

    def _matches(self, thread_id: str, wanted: Filter) -> bool:
        rows = self._connection.execute("SELECT metadata FROM checkpoints WHERE thread_id = ?", (thread_id,))
        return any(wanted.matches(parsed_metadata(thread_id, metadata)) for (metadata,) in rows)

    # --- records

    async def open(self, thread_ids: Sequence[str]) -> SpooledThreads:
        """See `RecordReader.open`."""
        return SpooledThreads(await asyncio.to_thread(self._read, thread_ids), self._made)

    def _read(self, thread_ids: Sequence[str]) -> Spool:
        spool = Spool()
        try:
            with self._snapshot():
                for thread_id in thread_ids:
                    for row in self._rows(thread_id):
                        spool.add(thread_id, row, sum(len(cell) for cell in row if isinstance(cell, bytes)))
            spool.end()
        except BaseException:
            spool.close()
            raise
        return spool

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("COMMIT")

    def _rows(self, thread_id: str) -> Iterator[tuple[Any, ...]]:
        key = "checkpoint_ns, checkpoint_id"
        of_thread = f"WHERE thread_id = ? ORDER BY {key}"
        with closing(self._connection.cursor()) as cursor:
            columns = f"{key}, parent_checkpoint_id, type, checkpoint, metadata"
            found = cursor.execute(f"SELECT {columns} FROM checkpoints {of_thread}", (thread_id,))
            yield from ((_CHECKPOINT, *row) for row in found)
            columns = f"{key}, task_id, idx, {self._task_path}, channel, type, value"
            yield from ((_WRITE, *row) for row in cursor.execute(f"SELECT {columns} FROM writes {of_thread}", (thread_id,)))

    def _made(self, thread_id: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Imported]:
        records = self._records.of_another_thread()
        for kind, checkpoint_ns, checkpoint_id, *row in rows:
            key = CheckpointKey(thread_id, checkpoint_ns, checkpoint_id)
            if kind == _WRITE:
                yield Imported(records.write(key, *row))
            else:
                parent_id, type_, data, metadata = row
                parsed = parsed_metadata(thread_id, metadata)
                yield Imported(records.checkpoint(key, parent_id or None, type_, bytes(data or b""), parsed))


def parsed_metadata(thread_id: str, metadata: bytes | str | None) -> dict[str, Any]:
    """Metadata as the official saver gives it."""
    try:
        parsed = json.loads(metadata) if metadata is not None else {}
    except ValueError as exc:
        raise CheckpointCorrupt(f"the metadata of a checkpoint of thread {thread_id!r} is no JSON") from exc
    if not isinstance(parsed, dict):
        raise CheckpointCorrupt(f"the metadata of a checkpoint of thread {thread_id!r} is no JSON object")
    return parsed


def _is_chosen(row: Sequence[Any], choice: Choice) -> bool:
    if choice.thread_ids is not None and row[0] not in choice.thread_ids:
        return False
    return choice.since is None or not (made_at := time_of_id(row[3])) or made_at >= choice.since


def _thread(row: Sequence[Any]) -> SourceThread:
    thread_id, checkpoints, last, _, writes, last_write = row
    # Nothing is written to it without a change of these numbers, so its stamp can be trusted at once.
    return SourceThread(thread_id, [checkpoints, last, writes, last_write], 0, checkpoints, checkpoints * _BYTES_PER_CHECKPOINT)
