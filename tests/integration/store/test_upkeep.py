"""Upkeep of a store: it reaches every thread, reports its progress, and leaves a trace with its counts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.recode import Recoder
from ckptstore.maintenance.gc_pass import GcPass
from ckptstore.maintenance.reports import CollectReport
from ckptstore.records import Posting
from ckptstore.runtime.steps import drive_async
from ckptstore.store import upkeep
from ckptstore.tags.encoding import encode_value
from tests.support.background import recorded_events
from tests.support.build import chain
from tests.support.rows import listed_counts, tag_rows
from tests.support.serialisers import encrypting


async def test_copying_and_deleting_a_thread_leave_a_trace(saver: SQLAlchemySaver) -> None:
    await chain(saver, "t", 3)
    with recorded_events("thread_copied") as copied, recorded_events("thread_deleted") as deleted:
        assert await drive_async(saver.store.copy_thread("t", "u")) == 3
        report = await drive_async(saver.store.delete_thread("t"))
    assert (report.checkpoints, report.deleted_threads) == (3, 1)
    assert [record["checkpoints"] for record in copied.records] == [3]
    assert [(record["thread_id"], record["checkpoints"], record["writes"]) for record in deleted.records] == [("t", 3, 0)]


async def test_deleting_by_postings_takes_what_has_any_of_them(saver: SQLAlchemySaver) -> None:
    for thread_id, user in (("a", "ada"), ("b", "ben"), ("c", "cyd")):
        await chain(saver, thread_id, 2, user=user)
    report = await drive_async(saver.store.delete_with_postings([Posting("user", encode_value(name)) for name in ("ada", "cyd", "dan")]))
    assert (report.checkpoints, report.threads, report.deleted_threads) == (4, 2, 2)
    assert set(await listed_counts(saver)) == {"b"}


async def test_tags_are_rebuilt_page_by_page_of_threads(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await chain(saver, f"t{number}", 2)
    next_threads = upkeep.next_threads  # type: ignore[attr-defined]  # where it is used, to be replaced there
    monkeypatch.setattr(upkeep, "next_threads", lambda db, after: next_threads(db, after)[:2])
    done: list[int] = []
    with recorded_events("tags_rebuilt") as rebuilt:
        tags = await drive_async(saver.store.rebuild_tags(done.append))
    assert done == [2, 4, 5]
    assert tags == len(tag_rows(saver))
    assert [(record["tags"], record["threads"]) for record in rebuilt.records] == [(tags, 5)]


async def test_storing_anew_leaves_a_trace(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 3)
        plain = saver.serde
    async with SQLAlchemySaver.from_conn_string(lasting_url, serde=encrypting()) as saver:
        with recorded_events("reencrypted") as recorded:
            recode = Recoder(plain, saver.serde, allow_plain=False)
            report = await drive_async(saver.store.reencrypt(recode, 0, lambda _report: None))
    assert [record["checkpoints"] for record in recorded.records] == [report.checkpoints] == [3]


async def test_a_store_without_blobs_has_nothing_to_collect(saver: SQLAlchemySaver) -> None:
    assert await drive_async(saver.store.collect(GcPass(0, timedelta(0), True))) == CollectReport(dry_run=True)


async def test_only_sqlite_is_vacuumed_after_a_prune(saver: SQLAlchemySaver) -> None:
    report = await drive_async(saver.store.vacuum_sqlite())
    assert (report is not None) == saver.store.runner.statements.on_sqlite
