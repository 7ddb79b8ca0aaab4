"""However many pages, and whatever happens between them: every answer is complete, by few statements."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.reads import checkpoints as reads
from ckptstore.store import listing as store_listing
from tests.support.build import chain, config, put
from tests.support.faults import reported_statements
from tests.support.listings import BEGINNING, make_everything_frequent, moment


async def test_what_only_metadata_can_decide_is_looked_up_page_by_page(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads, "_METADATA_PAGE_SIZE", 7)
    monkeypatch.setattr(reads, "_MAX_METADATA_PAGES", 2)
    await chain(saver, "t", 50)
    found = await saver.alist(None, filter={"nothing": {"$exists": False}, "step": {"$ne": 30}}, limit=30)
    assert [c.metadata["step"] for c in found] == [step for step in range(49, 18, -1) if step != 30]
    found = await saver.alist(None, filter={"parents": {}, "step": {"$lt": 2}}, limit=1)
    assert [c.metadata["step"] for c in found] == [1]


PAUSED: list[dict[str, Any]] = [{}, {"kind": "chat"}, {"parents": {}}, {"kind": {"$in": ["chat", "x"]}}, {"step": {"$gte": 0}}]


@pytest.mark.parametrize("wanted", PAUSED, ids=str)
async def test_a_paused_listing_holds_up_nobody_and_continues(
    saver: SQLAlchemySaver, wanted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 2)
    monkeypatch.setattr(reads, "_METADATA_PAGE_SIZE", 3)
    for thread_id in ("stays", "deleted", "pruned", "also stays"):
        await chain(saver, thread_id, 4, kind="chat")
    expected = [c.config for c in await saver.alist(None, filter=wanted)]
    listing = saver.alist(None, filter=wanted)
    paused = saver.list(None, filter=wanted)
    found = [(await anext(listing)).config]
    assert next(paused).config == found[0]
    await asyncio.gather(chain(saver, "new", 3, kind="chat"), saver.adelete_thread("deleted"), saver.aprune(["pruned"]))
    found += [c.config async for c in listing]
    gone = [where for where in expected if where not in [c.config for c in await saver.alist(None)]]
    assert len(gone) == 7
    assert found == [where for where in expected if where not in gone]
    assert [c.config for c in paused] == found[1:]


async def test_the_statements_of_a_page_do_not_grow_with_what_it_holds(saver: SQLAlchemySaver) -> None:
    async def statements(**how: Any) -> int:
        run: list[str] = []

        def note(when: str, statement: str) -> None:
            # The load of each minute is written whenever the minute ends, and a connection that was idle for long is tested.
            if when == "before" and "ckpt_load" not in statement and statement != "SELECT 1":
                run.append(statement)

        with reported_statements(saver, note):
            listing = saver.alist_threads if how.pop("threads", False) else saver.alist
            found = await listing(**how)
        assert len(found) == size
        return len(run)

    several = {"kind": {"$in": ["x", "y"]}}
    wanted = [{"kind": "x"}, {"kind": "x", "source": "loop"}, several, {"n": {"$gte": 0}, "kind": "x"}, {"parents": {}}]
    asked: list[dict[str, Any]] = [{"config": None, "filter": each} for each in wanted]
    asked += [{"config": None}, {"config": None, "created_after": BEGINNING}]
    asked += [{"threads": True}, {"threads": True, "filter": {"kind": "x"}}, {"threads": True, "filter": {"parents": {}}}]
    counts = []
    for size in (10, 60):
        for n in range(len(await saver.alist(None)), size):
            where = await put(saver, config(f"t{n}"), {"n": n, "text": "x" * 500}, kind="x", n=n)
            await saver.aput_writes(where, [("n", n)], "task")
        counts.append([await statements(**dict(how)) for how in asked])
    if saver.store.runner.abilities.database.one_snapshot:
        assert counts[0] == counts[1]
        assert max(counts[0]) <= 5
    else:
        # On shards, values are read thread by thread.
        assert [more - fewer for fewer, more in zip(*counts, strict=True)] == [50] * 7 + [0] * 3


async def test_filters_of_many_sizes_share_few_statements(saver: SQLAlchemySaver) -> None:
    tags: dict[str, Any] = {f"k{n}": n for n in range(40)}
    await put(saver, config("t"), **tags)
    await put(saver, config("u"), **(tags | {"k39": "other", "no": 1}))
    run: set[str] = set()
    with reported_statements(saver, lambda _when, statement: run.add(statement)):
        for required, forbidden in product(range(5, 33, 3), range(5, 30, 5)):
            for last, threads in (({"k39": 39}, ["t"]), ({}, ["u", "t"])):
                wanted: dict[str, Any] = {f"k{n}": n if n % 3 else {"$in": [n, -1]} for n in range(required)} | last
                wanted |= {f"k{n}": {"$ne": "x"} for n in range(32, 32 + min(forbidden, 7))}
                wanted |= {f"none{n}": {"$ne": 1} for n in range(forbidden - 7)}
                found = await saver.alist(None, filter=wanted)
                assert [each.config["configurable"]["thread_id"] for each in found] == threads
        assert await saver.alist(None, filter={**tags, "k0": -1}) == []
        assert [each.config["configurable"]["thread_id"] for each in await saver.alist(None, filter={"k1": 1, "no": {"$ne": 1}})] == ["t"]
    # 100 filters, and as many shapes.
    assert len(run) < 60


async def test_a_checkpoint_that_is_put_again_is_found_by_its_new_time(saver: SQLAlchemySaver, monkeypatch: pytest.MonkeyPatch) -> None:
    make_everything_frequent(monkeypatch)
    times = {"t": moment(0)}
    saver.clock = lambda: times["t"]
    made = [await put(saver, config("t"), {}, step, kind="odd") for step in range(9)]
    ids = [each["configurable"]["checkpoint_id"] for each in made]
    for number, when in enumerate((moment(60), moment(-60))):
        times["t"] = when
        await put(saver, config("t", ids[number]), {}, number, kind="odd")
    assert len(await saver.alist(None, filter={"kind": "odd"}, created_before=moment(1))) == 10
    assert len(await saver.alist(None, filter={"kind": "odd"}, created_after=moment(1))) == 1
