"""Checkpoints with two frequent tags, however the tags are distributed: every answer is the model's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.reads import checkpoints as reads
from ckptstore.reads import meetings, threads
from tests.support.build import checkpoint, config, metadata, put
from tests.support.faults import reported_statements
from tests.support.listings import make_everything_frequent

BOTH = {"x": "yes", "y": "yes"}
#: The tags of the checkpoints of a listing, oldest first: `x` or `y`, `b` for both, and a space for none.
PATTERNS = {
    "never": "x" * 30 + "y" * 30,
    "alternately": "xy" * 20,
    "now and then": ("x" * 9 + "b" + "y" * 9) * 2 + "bb",
    "long ago": "bxb" + "y" * 20 + "x" * 20,
    "in between": "yx" * 8 + "bxbybb b" + "x" * 8 + "y" * 8,
}


class Stored:
    """Checkpoints with the tags of a pattern, in three threads, and the model's answers about them."""

    def __init__(self, saver: SQLAlchemySaver, pattern: str) -> None:
        self.saver = saver
        self.pattern = pattern
        #: Id, thread and number of those with both tags.
        self.found: list[tuple[str, str, int]] = []
        self.ids: list[str] = []

    async def store(self) -> None:
        for n, kind in enumerate(self.pattern):
            tags = {tag: "yes" for tag in "xy" if kind in (tag, "b")}
            thread_id = f"t{n % 3}"
            stored = await put(self.saver, config(thread_id), {}, n, **tags)
            self.ids.append(stored["configurable"]["checkpoint_id"])
            if len(tags) == 2:
                self.found.append((self.ids[-1], thread_id, n))

    def expected(self, before: int | None = None, without: Sequence[int] = (), limit: int | None = None) -> list[tuple[str, str]]:
        found = [(id_, thread) for id_, thread, n in self.found if n not in without and (before is None or n < before)]
        return sorted(found, reverse=True)[:limit]


async def listed(saver: SQLAlchemySaver, **how: Any) -> list[tuple[str, str]]:
    found = await saver.alist(None, **how)
    return [(each.checkpoint["id"], each.config["configurable"]["thread_id"]) for each in found]


@pytest.fixture(autouse=True)
def everything_is_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    make_everything_frequent(monkeypatch)


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
async def test_tags_that_meet(saver: SQLAlchemySaver, pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    searches: list[Any] = []

    def find(*args: Any) -> meetings.Meetings:
        searches.append(args)
        return meetings.find_meetings(*args)

    for module in (reads, threads):
        monkeypatch.setattr(module, "find_meetings", find)
    stored = Stored(saver, pattern)
    await stored.store()
    for limit in (None, 1, 2, 5):
        assert await listed(saver, filter=BOTH, limit=limit) == stored.expected(limit=limit)
    middle = len(pattern) // 2
    before = config("any", stored.ids[middle])
    assert await listed(saver, filter=BOTH, before=before) == stored.expected(before=middle)
    assert await listed(saver, filter={**BOTH, "source": "loop"}) == stored.expected()
    for n in (0, 2, len(pattern) - 1):
        assert await listed(saver, filter={**BOTH, "step": {"$ne": n}}) == stored.expected(without=[n])
    assert {each.thread_id for each in await saver.alist_threads(filter=BOTH)} == {thread for _, thread, _ in stored.found}
    # Across shards no two tags are followed to where they meet.
    assert bool(searches) == saver.store.runner.abilities.database.joins_threads


async def test_an_id_of_several_threads_counts_for_each_that_has_both_tags(saver: SQLAlchemySaver) -> None:
    stored = Stored(saver, "xy" * 5 + "b" + "yx" * 5)
    await stored.store()
    for n, (thread_id, tags) in enumerate([("only x", {"x": "yes"}), ("only y", {"y": "yes"}), ("z", BOTH), ("a", BOTH)]):
        made = checkpoint(id=stored.ids[4])
        await saver.aput(config(thread_id), made, metadata(n, **tags), {})
    for copy in range(5):
        await saver.acopy_thread("t1", f"copy {copy}")
    expected = [(stored.ids[10], thread) for thread in (*sorted(f"copy {n}" for n in range(5)), "t1")]
    expected = sorted([*expected, (stored.ids[4], "z"), (stored.ids[4], "a")], reverse=True)
    for size in (1, 2, 8, 9):
        assert await listed(saver, filter=BOTH, limit=size) == expected[:size]
    found = {each.thread_id for each in await saver.alist_threads(filter=BOTH)}
    assert found == {thread for _, thread in expected}


async def test_what_only_one_tag_has_is_skipped(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_MIN_STEPS": 64, "_POSTINGS_PER_STEP": 8, "_MIN_SCAN": 512}.items():
        monkeypatch.setattr(meetings, name, value)
    for n in range(120):
        await put(saver, config(f"t{n % 40}"), {}, n, **{"x" if n // 30 % 2 else "y": "yes"})
    run: list[str] = []
    with reported_statements(saver, lambda when, statement: run.append(statement) if when == "before" else None):
        assert await saver.alist(None, filter=BOTH) == []
        if not saver.store.runner.abilities.database.joins_threads:
            assert await saver.alist_threads(filter=BOTH) == []
            return
        # Does the key exist, which condition is rarer, the newest postings, and one statement that skips through both tags.
        assert len(run) <= 5
        assert await saver.alist_threads(filter=BOTH) == []
    assert not any("ckpt_thread" in statement and "EXISTS" in statement for statement in run)
