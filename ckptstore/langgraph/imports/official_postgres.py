"""The tables of LangGraph's PostgresSaver, or of its shallow variant, as the source of an import. They are only read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import inspect

from ckptstore.db.connection import Db
from ckptstore.db.runner import Runner, Work
from ckptstore.db.secrets import masked
from ckptstore.errors import InvalidConfig, InvalidSource
from ckptstore.langgraph.format import FIRST_FORMAT_WITH_OWN_SENDS, TASKS_CHANNEL
from ckptstore.langgraph.imports import postgres_sql as sql
from ckptstore.langgraph.imports.forms import FORMS
from ckptstore.langgraph.imports.official_sqlite import parsed_metadata
from ckptstore.langgraph.imports.records import RawRecords, time_of_id
from ckptstore.langgraph.imports.spooled import SpooledThreads
from ckptstore.records import CheckpointKey
from ckptstore.runtime.wakeups import settled
from ckptstore.tags.filters import Filter
from ckptstore.transfer.parcel import Choice, SourceThread
from ckptstore.transfer.record_source import Imported
from ckptstore.transfer.remembered import origin_of, origin_of_database
from ckptstore.transfer.spool import Spool

T = TypeVar("T")

_THREADS_PER_PAGE = 500
_BYTES_PER_READ = 4 * 1024 * 1024
_ROWS_PER_READ = 500
_BYTES_PER_CHECKPOINT = 4 * 1024
_BLOB, _CHECKPOINT, _WRITE = "blob", "checkpoint", "write"
_EMPTY = "empty"


def find_layout(db: Db) -> sql.Layout:
    """Which of the official savers made the tables.

    Raises:
        InvalidSource: none did.
    """
    found: dict[str, set[str]] = {}
    inspector = inspect(db.connection)
    for table in ("checkpoints", "checkpoint_blobs", "checkpoint_writes"):
        if inspector.has_table(table, schema=db.statements.schema):
            found[table] = {column["name"] for column in inspector.get_columns(table, schema=db.statements.schema)}
    where = masked(db.connection.engine.url) + (f", schema {db.statements.schema!r}" if db.statements.schema else "")
    if len(found) < 3 or "checkpoint" not in found["checkpoints"]:
        own = inspector.has_table("ckpt_checkpoint", schema=db.statements.schema)
        instead = "; it is a store of ckptstore: use ckptstore copy --from" if own else "; name their schema (--from-schema)"
        raise InvalidSource(f"{where} has no tables of an official saver (checkpoints, checkpoint_blobs, checkpoint_writes){instead}")
    return sql.Layout("checkpoint_id" not in found["checkpoints"], "task_path" in found["checkpoint_writes"])


class OfficialPostgres:
    """Reads the tables of an official PostgreSQL saver.

    Args:
        runner: of the database; it is closed with this reader.
        layout: see `find_layout`.
        records: makes records of its rows.
    """

    def __init__(self, runner: Runner, layout: sql.Layout, records: RawRecords) -> None:
        self.origin = origin_of("official", origin_of_database(runner.url, runner.statements.schema))
        self._runner = runner
        self._layout = layout
        self._records = records

    def close(self) -> None:
        """Close the database."""
        self._runner.close()

    async def _run(self, work: Work[T]) -> T:
        return await settled(self._runner.read(work))

    # --- threads

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        """See `RecordReader.threads`."""
        after = ""
        while page := await self._run(partial(self._page, after=after)):
            after = page[-1][0]
            chosen = [row for row in page if _is_chosen(row, choice)]
            if choice.wanted is not None:
                chosen = await self._run(partial(self._matching, rows=chosen, wanted=choice.wanted))
            yield [_thread(row) for row in chosen]

    def _page(self, db: Db, after: str) -> Sequence[Any]:
        return db.scan(sql.page_of_threads, {"after": after, "page_size": _THREADS_PER_PAGE}, self._layout)

    def _matching(self, db: Db, rows: Sequence[Any], wanted: Filter) -> list[Any]:
        db.expect_long()
        return [row for row in rows if self._matches(db, row[0], wanted)]

    def _matches(self, db: Db, thread_id: str, wanted: Filter) -> bool:
        rows = db.run(sql.metadata_of_thread, {"thread_id": thread_id})
        return any(wanted.matches(parsed_metadata(thread_id, metadata)) for (metadata,) in rows)

    # --- records

    async def open(self, thread_ids: Sequence[str]) -> SpooledThreads:
        """See `RecordReader.open`."""
        return SpooledThreads(await self._run(partial(self._read, thread_ids=thread_ids)), self._made)

    def _read(self, db: Db, thread_ids: Sequence[str]) -> Spool:
        db.expect_long()
        spool = Spool()
        try:
            with db.snapshot():
                for thread_id in thread_ids:
                    for row in self._rows(db, thread_id):
                        spool.add(thread_id, row, sum(len(cell) for cell in row if isinstance(cell, (bytes, str))))
            spool.end()
        except BaseException:
            spool.close()
            raise
        return spool

    def _rows(self, db: Db, thread_id: str) -> Iterator[tuple[Any, ...]]:
        for kind, sizes, rows in (
            (_BLOB, sql.blob_sizes, sql.blobs),
            (_CHECKPOINT, sql.checkpoint_sizes, sql.checkpoints),
            (_WRITE, sql.write_sizes, sql.writes),
        ):
            for row in _in_groups(db, thread_id, self._layout, sizes, rows):
                yield (kind, *row)

    def _made(self, thread_id: str, rows: Iterable[tuple[Any, ...]]) -> Iterator[Imported]:
        records = self._records.of_another_thread()
        oldest = FIRST_FORMAT_WITH_OWN_SENDS
        for kind, checkpoint_ns, checkpoint_id, *row in rows:
            key = CheckpointKey(thread_id, checkpoint_ns, checkpoint_id)
            if kind == _BLOB:
                channel, version, type_, data = row
                if type_ != _EMPTY and version is not None:
                    yield Imported(records.value(key, channel, version, type_, data or b""), only_values=True)
            elif kind == _WRITE:
                if oldest < FIRST_FORMAT_WITH_OWN_SENDS:
                    self._refuse_old_sends(thread_id, row)
                yield Imported(records.write(key, *row))
            else:
                parent_id, text, metadata = row
                parsed = parsed_metadata(thread_id, metadata)
                record = records.checkpoint(key, parent_id, *_serialised(text), parsed, is_plain=True)
                oldest = min(oldest, record.format)
                yield Imported(record)

    def _refuse_old_sends(self, thread_id: str, row: Sequence[Any]) -> None:
        if self._layout.shallow and row[3] == TASKS_CHANNEL:
            raise InvalidConfig(
                f"thread {thread_id!r} of a shallow saver has pending sends in a format from before LangGraph 0.5; run its graph once "
                "with a newer LangGraph, and import it then"
            )


def _serialised(text: str) -> tuple[str, bytes]:
    """The JSON of a checkpoint as msgpack, which is read faster, unless a whole number is too large for it."""
    form = FORMS["msgpack"]
    try:
        return form.type, form.part(json.loads(text))
    except (OverflowError, ValueError):
        return "json", text.encode()


def _in_groups(
    db: Db, thread_id: str, layout: sql.Layout, sizes: Callable[..., Any], rows: Callable[..., Any]
) -> Iterator[tuple[Any, ...]]:
    """The rows of a thread in the order of their keys, some megabytes at a time."""
    thread = {"thread_id": thread_id}
    group: list[tuple[Any, ...]] = []
    size = 0
    for *key, length in db.run(sizes, thread, layout):
        if group and (len(group) == _ROWS_PER_READ or size + length > _BYTES_PER_READ):
            yield from _group(db, thread, layout, rows, group)
            group, size = [], 0
        group.append(tuple(key))
        size += length
    if group:
        yield from _group(db, thread, layout, rows, group)


def _group(
    db: Db, thread: dict[str, str], layout: sql.Layout, rows: Callable[..., Any], keys: Sequence[tuple[Any, ...]]
) -> Iterator[tuple[Any, ...]]:
    first = {f"first_{number}": cell for number, cell in enumerate(keys[0])}
    last = {f"last_{number}": cell for number, cell in enumerate(keys[-1])}
    for row in db.run(rows, {**thread, **first, **last}, layout):
        yield tuple(row)


def _is_chosen(row: Sequence[Any], choice: Choice) -> bool:
    if choice.thread_ids is not None and row[0] not in choice.thread_ids:
        return False
    return choice.since is None or not (made_at := time_of_id(row[3] or "")) or made_at >= choice.since


def _thread(row: Sequence[Any]) -> SourceThread:
    thread_id, checkpoints, last, _, writes, last_write = row
    # Every change of a row has a transaction of its own, so the stamp can be trusted at once.
    return SourceThread(thread_id, [checkpoints, last, writes, last_write], 0, checkpoints, checkpoints * _BYTES_PER_CHECKPOINT)
