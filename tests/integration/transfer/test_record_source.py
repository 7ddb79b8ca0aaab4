"""Records become rows as a put of them does."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.records import CheckpointKey, NewCheckpoint, NewWrite, NewWrites, Value
from ckptstore.transfer.parcel import Choice, SourceThread, ThreadGone
from ckptstore.transfer.record_source import Imported, RecordSource, ThreadRecords
from tests.support.values import NOISE


class Given:
    """A reader of given records."""

    origin = "given"

    def __init__(self, records: Sequence[Imported]) -> None:
        self._records = records
        self.closed = 0

    async def threads(self, choice: Choice) -> AsyncGenerator[Sequence[SourceThread], None]:
        yield []

    async def open(self, thread_ids: Sequence[str]) -> ThreadRecords:
        return self

    async def records(self, thread_id: str) -> AsyncGenerator[Imported, None]:
        for each in self._records:
            if each.record.key.thread_id == thread_id:
                yield each

    def close(self) -> None:
        self.closed += 1


def checkpoint(name: str, parent: str | None, values: list[tuple[str, str, Value]], versions: str) -> Imported:
    key = CheckpointKey("t", "", name)
    return Imported(NewCheckpoint(key, parent, int(name), 4, Value("null", b""), versions, "{}", values, (), frozenset(), 1))


FILE = Value("bytes", NOISE.randbytes(70_000))
RECORDS = [
    Imported(checkpoint("9", None, [("a", "1", FILE)], "{}").record, only_values=True),
    checkpoint("1", None, [], '{"a":"1"}'),
    checkpoint("2", "1", [("b", "1", Value("bytes", FILE.data))], '{"b":"1"}'),
    Imported(NewWrites(CheckpointKey("t", "", "2"), "task", "", 7, [NewWrite(0, "a", FILE)], replace=False)),
]
THREAD = SourceThread("t", [1], 1, 2, 3)


async def rows_of(saver: SQLAlchemySaver, newest: int | None = None, thread: SourceThread = THREAD) -> dict[str, int]:
    await saver.setup()
    given = Given(RECORDS)
    source = RecordSource(given, saver.store, Choice(newest=newest), LANGGRAPH)
    from ckptstore.runtime.wakeups import settled

    parcel = await settled(saver.store.objects.run(source.parcel([thread], None)))
    with parcel.spool:
        assert parcel.times["t"] == (1, 7)
        assert len(parcel.expected) == sum(parcel.rows.values())
        assert given.closed == 1
        return {**parcel.rows, "objects": len(parcel.object_keys), "visible": len(parcel.visible)}


async def test_a_large_value_is_uploaded_once(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        rows = await rows_of(saver)
        assert rows == {"ckpt_checkpoint": 2, "ckpt_channel": 2, "ckpt_write": 1, "ckpt_segment": 1, "objects": 1, "visible": 2}


async def test_without_blob_storage_it_is_a_segment() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        assert (await rows_of(saver))["objects"] == 0


async def test_of_the_newest_only_its_values(tmp_path: Path) -> None:
    async with SQLAlchemySaver.from_conn_string(tmp_path / "ours.sqlite") as saver:
        rows = await rows_of(saver, newest=1)
        assert (rows["ckpt_checkpoint"], rows["ckpt_channel"], rows["ckpt_write"], rows["visible"]) == (1, 1, 1, 1)


async def test_a_thread_that_is_gone() -> None:
    async with SQLAlchemySaver.from_conn_string(":memory:") as saver:
        with pytest.raises(ThreadGone):
            await rows_of(saver, thread=THREAD._replace(thread_id="gone"))
