"""How values are shared and compressed."""

from __future__ import annotations

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.inspection import sample as sample_module
from ckptstore.inspection.sample import Sample, read_sample
from tests.support.build import chain, checkpoint, config, metadata
from tests.support.values import NOISE


def sampled(saver: SQLAlchemySaver, threads: int, *, full: bool = False) -> Sample:
    return saver.store.runner.read(lambda db: read_sample(db, threads, 10, full=full)).result()


async def test_what_is_repeated_is_shared_and_what_is_alike_is_compressed(saver: SQLAlchemySaver) -> None:
    where = config("t")
    for step in range(10):
        values = {"list": [f"line {number} of many, all of them alike" for number in range(100 + step)], "small": [step]}
        made = checkpoint(values, dict.fromkeys(values, f"{step:010}.x"))
        where = await saver.aput(where, made, metadata(step), made["channel_versions"])
    await saver.aput_writes(where, [("list", ["x" * 5_000])], "task")
    found = sampled(saver, 1)
    assert (found.threads, found.is_everything, found.checkpoints, found.writes) == (1, True, 10, 1)
    assert [(of.channel, of.values) for of in found.channels] == [("list", 10), ("small", 10)]
    assert found.channels[0].largest_bytes > found.channels[0].serialised_bytes / 10
    assert found.shared is not None
    assert found.compressed is not None
    assert found.ratio is not None
    assert found.shared > 3
    assert found.compressed > 3
    assert found.ratio > found.shared
    assert found.checkpoint_bytes > 0


async def test_a_file_in_several_threads_is_stored_once(sqlite_url: str) -> None:
    content = NOISE.randbytes(100_000)
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        for thread_id in ("a", "b", "c"):
            made = checkpoint({"file": content})
            await saver.aput(config(thread_id), made, metadata(), made["channel_versions"])
        found = sampled(saver, 3)
    assert found.serialised_bytes == 300_000
    assert 100_000 <= found.stored_bytes < 101_000


async def test_a_sample_is_bounded(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        await chain(saver, f"t{number}", 3)
    assert sampled(saver, 6).threads == 6
    monkeypatch.setattr(sample_module, "_MAX_CHECKPOINTS", 7)
    found = sampled(saver, 6)
    assert (found.threads, found.checkpoints, found.is_everything) == (2, 6, False)
    monkeypatch.setattr(sample_module, "_MAX_THREADS", 2)
    assert sampled(saver, 6).threads == 2
    monkeypatch.setattr(sample_module, "_MAX_CHECKPOINTS", 1)
    assert sampled(saver, 6).threads == 1
    assert sampled(saver, 6, full=True).threads == 6
