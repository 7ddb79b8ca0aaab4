"""Searches by the time of creation that are bounded by ids: every answer is the model's, whatever the ids are.

All tests here use the module's own store: on PostgreSQL, one with a saver of its own would empty it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle, product
from typing import Any, NamedTuple

import pytest
from langgraph.checkpoint.base.id import uuid6

from ckptstore import SQLAlchemySaver
from ckptstore.db.connection import Db
from ckptstore.db.id_times import OFF_TIME, end_of_ids, first_id
from ckptstore.db.times import to_microseconds
from ckptstore.reads import id_ranges
from tests.support.build import config, id_at
from tests.support.databases import DATABASES, url_of
from tests.support.listings import Row, expected_of, listed, make_everything_frequent, moment, spy, world


def on_time(number: int, created_at: datetime) -> str:
    return id_at(created_at, number)


def mixed(number: int, created_at: datetime) -> str:
    """Some of later, some of earlier, and some that are no UUIDs: among the others, before and after all of them."""
    kinds = {5: str(uuid6()), 8: id_at(created_at - timedelta(minutes=12)), 13: f"{number}", 21: f"1f0-{number}", 34: f"x{number}"}
    return kinds.get(number % 36, on_time(number, created_at))


WORLDS = {"on time": on_time, "mixed": mixed, "of now": lambda _number, _moment: str(uuid6())}
#: How many of the checkpoints are off time.
OFF_TIME_OF_WORLD = {"on time": 0, "mixed": 9, "of now": 58}
COPIED = "t1"


class World(NamedTuple):
    kind: str
    saver: SQLAlchemySaver
    rows: list[Row]


async def filled(saver: SQLAlchemySaver, kind: str) -> list[Row]:
    rows = await world(saver, WORLDS[kind])
    # Copies have the ids and the times of their originals.
    await saver.acopy_thread(COPIED, "t1 again")
    return sorted([*rows, *(row._replace(thread_id="t1 again") for row in rows if row.thread_id == COPIED)], reverse=True)


@pytest.fixture(scope="module", params=product(DATABASES, WORLDS), ids="-".join)
def of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Checkpoints with ids of each kind on a database of each kind: filled once, since these tests only read."""
    database, kind = request.param
    with SQLAlchemySaver.from_conn_string(url_of(database, request, tmp_path_factory.mktemp("world"))) as saver:
        yield World(kind, saver, asyncio.run(filled(saver, kind)))


@pytest.fixture(autouse=True)
def everything_is_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    make_everything_frequent(monkeypatch)


FILTERS: list[dict[str, Any]] = [
    {},
    {"kind": "odd"},
    {"kind": "odd", "source": "loop"},
    {"user": {"$in": ["u1", "u2", "u3", "u8"]}},
    {"kind": "odd", "user": {"$ne": "u5"}},
    {"kind": {"$in": ["odd", "even"]}, "score": {"$gte": 3}},
]
WINDOWS: list[dict[str, Any]] = [
    {"created_before": moment(22)},
    {"created_after": moment(9)},
    {"created_after": moment(9), "created_before": moment(40)},
    {"created_after": moment(40)},
]


PLACES = (None, {"configurable": {"thread_id": COPIED}}, None, config("t0"))


async def assert_the_models_answers(of: World) -> None:
    places, befores = cycle(PLACES), cycle((None, None, config("any", of.rows[19].checkpoint_id)))
    for wanted, window in product(FILTERS, WINDOWS):
        for limit, where, before in zip((None, 4), places, befores, strict=False):
            how: dict[str, Any] = {"config": where, "filter": wanted, "before": before, **window, "limit": limit}
            assert listed(await of.saver.alist(**how)) == expected_of(of.rows, how), how


async def test_the_model_gives_the_same_answers(of: World, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = spy(monkeypatch)
    await assert_the_models_answers(of)
    assert {plan.shape.off_time for plan in plans if "floor" in plan.shape.given} == {of.kind != "on time"}


async def test_where_many_are_off_time_ids_are_no_bounds(of: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_ranges, "_MAX_OFF_TIME", 1)
    plans = spy(monkeypatch)
    how: dict[str, Any] = {"config": None, "filter": {"kind": "odd"}, "created_after": moment(3), "created_before": moment(45)}
    assert listed(await of.saver.alist(**how)) == expected_of(of.rows, how)
    assert any("floor" in plan.shape.given for plan in plans) is (of.kind == "on time")


def test_the_index_has_what_is_off_time(of: World) -> None:
    def count(db: Db) -> int:
        condition = OFF_TIME["sqlite" if db.on_sqlite else "postgresql"]
        return int(db.execute(f"SELECT count(*) FROM ckpt_checkpoint WHERE {condition}").scalar_one())

    assert of.saver.store.runner.read(count).result() == OFF_TIME_OF_WORLD[of.kind]
    # As Python has it.
    found = [not first_id(time) <= row.checkpoint_id < end_of_ids(time) for row in of.rows if (time := to_microseconds(row.created_at))]
    assert sum(found) == OFF_TIME_OF_WORLD[of.kind]
