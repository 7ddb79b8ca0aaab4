"""What a run counts and logs."""

from __future__ import annotations

import logging

import pytest

from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.parcel import Parcel, SourceThread, TargetThread
from ckptstore.transfer.progress import Progress


def thread(name: str, checkpoints: int = 2) -> SourceThread:
    return SourceThread(name, [], 0, checkpoints, 0)


def test_every_outcome_is_counted_and_told() -> None:
    told: list[int] = []
    progress = Progress(TransferCallbacks(lambda _report, done: told.append(done)))
    progress.stored(Parcel([thread("a"), thread("b", 0)], rows={"ckpt_checkpoint": 2, "ckpt_write": 3}, bytes=7), existed=False)
    existing = TargetThread([], frozenset({1}), frozenset(), mirror=False)
    progress.stored(Parcel([thread("c")], existing=existing, expected={1}), existed=True)
    progress.stored(Parcel([thread("d")], existing=existing), existed=True)
    progress.unchanged(thread("e"))
    progress.skipped(thread("f"))
    report = progress.end()
    assert (report.threads, report.updated_threads, report.unchanged_threads, report.skipped_threads) == (2, 1, 2, ["f"])
    assert (report.checkpoints, report.writes, report.bytes, report.stopped) == (2, 3, 7, False)
    assert told == [3, 5, 7, 9, 11]


def test_a_thread_that_failed_is_named_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ckptstore.transfer.progress")
    progress = Progress(TransferCallbacks(should_stop=lambda: True))
    progress.failed(thread("a"), ValueError("torn"))
    assert progress.must_stop()
    assert (progress.end().failed_threads, progress.report.stopped) == ({"a": "torn"}, True)
    failed, ended = (vars(record) for record in caplog.records)
    assert (failed["event"], failed["thread_id"], failed["levelname"]) == ("thread_not_transferred", "a", "WARNING")
    assert (ended["event"], ended["threads"], ended["stopped"]) == ("transferred", 0, True)
