"""A batch as one statement on SQLite: it stores what the careful way stores, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from ckptstore import SQLAlchemySaver
from ckptstore.records import CheckpointKey, NewWrite, NewWrites, Value
from ckptstore.values.encode import EncodedWrite, StoredForm
from ckptstore.writes import commit_sqlite
from ckptstore.writes.attempt import MissingParts
from tests.support.batches import LONG, recorded, saver_commit, small_checkpoint, work
from tests.support.build import chain, checkpoint, config, metadata, put
from tests.support.faults import fault, reported_statements, transient_fault
from tests.support.rows import Rows


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Callable[[str], SQLAlchemySaver]]:
    """Opens savers on files of their own."""
    savers: list[SQLAlchemySaver] = []

    def opened(name: str) -> SQLAlchemySaver:
        savers.append(SQLAlchemySaver.from_conn_string(tmp_path / f"{name}.sqlite"))
        return savers[-1]

    yield opened
    for saver in savers:
        await saver.aclose()


async def test_both_ways_store_the_same_rows(sqlite: Callable[[str], SQLAlchemySaver], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, carefully = sqlite("at once"), sqlite("carefully")
    await asyncio.to_thread(at_once.setup)
    batches = recorded(at_once)
    ways: list[bool] = []
    insert = commit_sqlite.insert

    def recording(*args: Any) -> bool:
        ways.append(insert(*args))
        return ways[-1]

    monkeypatch.setattr(commit_sqlite, "insert", recording)
    await work(at_once)
    # All but the checkpoint that was put again.
    assert ways == [True] * (len(batches) - 1) + [False]
    monkeypatch.setattr(commit_sqlite, "insert", insert)
    monkeypatch.setattr(commit_sqlite, "_MAX_ROWS", 0)
    await asyncio.to_thread(carefully.setup)
    for batch in batches:
        await saver_commit(carefully, batch)
    assert len(ways) == len(batches)
    one, other = Rows.of(at_once).tables, Rows.of(carefully).tables
    for tables in (one, other):
        # The generation is a random number.
        tables["ckpt_thread"] = [{**row, "generation": None} for row in tables["ckpt_thread"]]
    assert one == other
    empty = {"ckpt_object", "ckpt_object_content", "ckpt_setting", "ckpt_load", "ckpt_lease"}
    assert all(one[table] for table in one.keys() - empty)


async def test_a_batch_is_one_statement(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver = sqlite("s")
    await chain(saver, "t", 2)
    # A connection's first one with each part creates the triggers.
    for _ in range(2):
        await saver.aput_writes(await put(saver, config("t"), {"a": LONG}), [("a", 1)], "task")
    seen: list[str] = []
    with reported_statements(saver, lambda when, statement: seen.append(statement.split(" (")[0]) if when == "before" else None):
        where = await put(saver, config("t"), {"a": LONG})
        await saver.aput_writes(where, [("a", 1)], "task")
    assert [statement for statement in seen if not statement.startswith("PRAGMA")] == ["INSERT INTO ckpt_batch"] * 2


async def test_a_view_that_was_made_in_part_is_completed(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver = sqlite("s")
    with fault(saver, "before", "TRIGGER IF NOT EXISTS ckpt_batch_tags", transient_fault(saver)) as hits:
        await chain(saver, "t", 2)
    assert len(hits) == 1
    assert len(await saver.alist(None, filter={"step": 1})) == 1


async def test_a_database_in_memory_of_the_callers_own_takes_batches_and_replacements() -> None:
    engine = create_async_engine("sqlite+aiosqlite://")
    async with SQLAlchemySaver(engine) as saver:
        where = (await chain(saver, "t", 3))[-1]
        again = checkpoint({"n": "again"}, id=where["configurable"]["checkpoint_id"])
        await saver.aput(where, again, metadata(9), again["channel_versions"])
        assert [found.metadata["step"] for found in await saver.alist(config("t"))] == [9, 1, 0]
        assert len(await saver.alist(None, filter={"step": 2})) == 0
    await engine.dispose()


async def test_more_rows_than_go_in_at_once_go_in(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver = sqlite("s")
    where = await put(saver, config("t"))
    many = [(f"channel {number}", number) for number in range(1_500)]
    await saver.aput_writes(where, many, "task")
    found = await saver.aget_tuple(where)
    assert found is not None
    assert found.pending_writes == [("task", *write) for write in many]


async def test_what_misses_something_stays_out_with_all_of_it_and_the_others_go_in(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver = sqlite("s")
    key = CheckpointKey("lacking", "", "c")
    record = NewWrites(key, "task", "", 0, [NewWrite(0, "x", Value("null", b""))], False)
    lacking = EncodedWrite(record, [StoredForm(None, None)], (), ("gone",), 0, blocks_thread=True)
    answers = await saver_commit(saver, [small_checkpoint("one", "c"), lacking, small_checkpoint("two", "c")])
    assert answers == [None, MissingParts(segments=("gone",)), None]
    tables = Rows.of(saver).tables
    assert {row["thread_id"] for row in tables["ckpt_checkpoint"]} == {"one", "two"}
    assert {row["thread_id"] for row in tables["ckpt_thread"]} == {"one", "two"}
    assert tables["ckpt_write"] == []


async def test_a_checkpoint_that_is_there_is_replaced_beside_new_ones(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver = sqlite("s")
    await saver_commit(saver, [small_checkpoint("t", "c", "old")])
    assert await saver_commit(saver, [small_checkpoint("t", "c", "new"), small_checkpoint("t", "d", "new")]) == [None, None]
    tables = Rows.of(saver).tables
    assert {(row["checkpoint_id"], row["key"]) for row in tables["ckpt_tag"]} == {("c", "new"), ("d", "new")}
    assert [row["checkpoint_count"] for row in tables["ckpt_thread"]] == [2]


def statements_of(saver: SQLAlchemySaver) -> Callable[..., Any]:
    return lambda seen: reported_statements(saver, lambda when, text: seen.append(text.split(" (")[0]) if when == "before" else None)


async def test_the_first_write_on_a_connection_creates_no_triggers(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    saver, seen = sqlite("s"), list[str]()
    await asyncio.to_thread(saver.setup)
    with statements_of(saver)(seen):
        await put(saver, config("t"), {"a": 1})
        assert not [statement for statement in seen if "TEMP" in statement or "ckpt_batch" in statement]
        assert seen.count("COMMIT") == 1
        await put(saver, config("u"), {"a": 1})
    assert seen[-1] == "INSERT INTO ckpt_batch"
    assert {row["thread_id"] for row in Rows.of(saver).tables["ckpt_checkpoint"]} == {"t", "u"}


async def test_the_first_write_on_a_connection_replaces_a_checkpoint_that_is_there(sqlite: Callable[[str], SQLAlchemySaver]) -> None:
    await saver_commit(sqlite("s"), [small_checkpoint("t", "c", "old")])
    saver = sqlite("s")
    assert await saver_commit(saver, [small_checkpoint("t", "c", "new")]) == [None]
    tables = Rows.of(saver).tables
    assert [row["key"] for row in tables["ckpt_tag"]] == ["new"]
    assert [row["checkpoint_count"] for row in tables["ckpt_thread"]] == [1]
