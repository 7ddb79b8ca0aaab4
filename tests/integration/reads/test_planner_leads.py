"""Whatever index leads, and whatever restricts a listing: every answer is the model's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from ckptstore import SQLAlchemySaver
from ckptstore.reads import planner as search
from ckptstore.store import listing as store_listing
from tests.support.build import config
from tests.support.databases import DATABASES, url_of
from tests.support.listings import BEGINNING, FILTERS_OF_THE_WORLD, Row, assert_answers, expected_of, listed, moment, spy, world


@pytest.fixture(scope="module", params=DATABASES)
def saver_and_rows(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SQLAlchemySaver, list[Row]]]:
    """The world on a database of each kind, and the model's rows: filled once, since these tests only read."""
    with SQLAlchemySaver.from_conn_string(url_of(request.param, request, tmp_path_factory.mktemp("world"))) as saver:
        yield saver, asyncio.run(world(saver))


@pytest.fixture
def saver(saver_and_rows: tuple[SQLAlchemySaver, list[Row]]) -> SQLAlchemySaver:
    return saver_and_rows[0]


@pytest.fixture
def rows(saver_and_rows: tuple[SQLAlchemySaver, list[Row]]) -> list[Row]:
    return saver_and_rows[1]


LEADS: list[tuple[str, dict[str, Any]]] = [
    ("checkpoints", {}),
    ("checkpoints", {"config": {"configurable": {"thread_id": "t1"}}}),
    ("checkpoints", {"config": config("t0", checkpoint_ns="sub"), "filter": {"kind": "even"}}),
    ("checkpoints", {"filter": {"user": {"$ne": "u3"}, "kind": {"$ne": "odd"}}}),
    ("checkpoints", {"filter": {"rare": {"$exists": False}}}),
    ("checkpoints", {"filter": {"parents": {}}}),
    ("tags", {"filter": {"kind": "odd"}}),
    ("tags", {"filter": {"rare": "yes", "kind": "odd"}}),
    ("tags", {"filter": {"user": {"$in": ["u1", "u2", "u2", "u7"]}, "kind": "odd"}}),
    ("tags", {"filter": {"user": {"$in": ["u1", "nobody"]}, "kind": {"$ne": "odd"}}}),
    ("tags", {"filter": {"labels": ["a", "b2"], "score": {"$gt": 3}}}),
    ("tags", {"filter": {"rare": "yes"}, "created_after": BEGINNING}),
    ("list", {"filter": {"user": {"$in": [f"u{n}" for n in (*range(9), 0, 1)]}, "source": "loop"}}),
    ("span", {"filter": {"user": {"$in": [f"u{n}" for n in range(12)]}, "kind": {"$in": ["odd", "strange"]}, "score": {"$lt": 9.5}}}),
    ("span", {"filter": {"score": {"$gte": 20}, "source": "loop"}}),
    ("span", {"filter": {"score": {"$gt": 1, "$lte": 3}, "kind": {"$ne": "odd"}}}),
    ("span", {"filter": {"user": {"$lt": "u10"}, "source": "loop"}}),
    ("span and below", {"filter": {"deep": {"$exists": True}}}),
    ("span and below", {"filter": {"deep": {"$exists": True}, "labels": {"$exists": True}, "kind": "odd"}}),
    ("tags", {"filter": {"labels": {"$exists": True}, "source": "loop"}}),
    ("time", {"created_after": moment(40)}),
    ("time", {"created_before": moment(7)}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"source": "loop"}}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"source": "loop", "kind": {"$in": ["odd", "even"]}}}),
    ("time", {"created_after": moment(10), "created_before": moment(20), "filter": {"rare": {"$exists": False}, "kind": {"$ne": "odd"}}}),
]


@pytest.mark.parametrize(("lead", "how"), LEADS, ids=lambda value: value if isinstance(value, str) else "-".join(value))
async def test_every_lead_gives_the_models_answer(
    saver: SQLAlchemySaver, rows: list[Row], lead: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_listing, "_PAGE_SIZE", 3)
    plans = spy(monkeypatch)
    await assert_answers(saver, rows, **how)
    assert {plan.shape.source for plan in plans} == {lead}
    for at in (0, 9, 47):
        await assert_answers(saver, rows, **how, before=config("any", rows[at].checkpoint_id))


@pytest.mark.parametrize("bound", [3, 1000], ids=["common", "rare"])
async def test_filters_with_all_that_restricts_a_listing_give_the_models_answer(
    saver: SQLAlchemySaver, rows: list[Row], bound: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_COUNT_BOUND", bound)
    monkeypatch.setattr(search, "_DENSITY_SAMPLE", 2)
    places = [None, {"configurable": {"thread_id": "t3"}}, config("t0"), {"configurable": {"checkpoint_ns": "sub"}}]
    windows = [{}, {"created_after": moment(8), "created_before": moment(41)}]
    for wanted, where, window in product(FILTERS_OF_THE_WORLD, places, windows):
        for before in (None, config("any", rows[11].checkpoint_id)):
            how: dict[str, Any] = {"config": where, "filter": wanted, "before": before, **window}
            # Several pages of either, and no more of the longer one than it takes to show that they join.
            for page_size, limit in ((13, None), (3, 4)):
                monkeypatch.setattr(store_listing, "_PAGE_SIZE", page_size)
                how["limit"] = limit
                assert listed(await saver.alist(**how)) == expected_of(rows, how), how
