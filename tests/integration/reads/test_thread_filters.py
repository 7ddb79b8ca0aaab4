"""Threads found by a filter: the same in every order, by pages of any size."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.reads import planner as search
from ckptstore.reads import threads as reads_threads
from ckptstore.store import listing as store_listing
from tests.support.build import chain
from tests.support.clocks import Clock
from tests.support.databases import DATABASES, url_of
from tests.support.filter_model import model
from tests.support.listings import ids, walked

SEARCHES: list[dict[str, Any]] = [
    {"parents": {}},
    {"parents": {}, "user": "ada"},
    {"user": {"$ne": "ada"}},
    {"user": {"$in": ["ada", "grace", "nobody"]}},
    {"user": {"$in": []}},
    {"user": {"$exists": False}},
    {"step": {"$gte": 2, "$lt": 4}},
    {"step": {"$gt": 1}, "user": "ada"},
    {"labels": [{"$in": ["a", "b"]}]},
    {"labels": ["a", "b"]},
    {"labels": []},
    {"user": {"$ne": ["ada"]}},
    {"user": "grace", "step": 0},
]


@pytest.fixture(scope="module", params=DATABASES)
def saver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLAlchemySaver]:
    """Threads on a database of each kind, stored once: these tests only read."""
    url = url_of(request.param, request, tmp_path_factory.mktemp("threads"))

    async def fill(saver: SQLAlchemySaver) -> None:
        tags: list[dict[str, Any]] = [{"user": "ada", "labels": ["a", "b"]}, {"user": "grace", "labels": ["b"]}, {"labels": []}, {}]
        for n in range(10):
            await chain(saver, f"t{n}", 1 + n % 5, **tags[n % 4])

    with SQLAlchemySaver.from_conn_string(url, clock=Clock(step_seconds=2)) as saver:
        asyncio.run(fill(saver))
        yield saver


@pytest.mark.parametrize("common", [False, True], ids=["rare", "common"])
@pytest.mark.parametrize("wanted", SEARCHES, ids=str)
async def test_a_filter_gives_the_same_threads_in_every_order_by_pages_of_any_size(
    saver: SQLAlchemySaver, wanted: dict[str, Any], common: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    monkeypatch.setattr(reads_threads, "_METADATA_PAGE_SIZE", 3)
    if common:
        monkeypatch.setattr(search, "_COUNT_BOUND", 3)
    matching = {
        c.config["configurable"]["thread_id"]
        for c in await saver.alist(None)
        if all(model(c.metadata.get(key, ...), value) for key, value in wanted.items())
    }
    by_activity = [f"t{n}" for n in range(9, -1, -1) if f"t{n}" in matching]
    for how, expected in (({}, by_activity), ({"order_by": "thread_id"}, by_activity[::-1])):
        assert ids(await saver.alist_threads(filter=wanted, **how)) == expected  # type: ignore[arg-type]
        for limit in (1, 2, 5):
            assert ids(walked(saver, limit, filter=wanted, **how)) == expected
