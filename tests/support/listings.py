"""Checkpoints to list, and a simple model of listings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from langgraph.checkpoint.base.id import uuid6

from ckptstore import SQLAlchemySaver, ThreadInfo
from ckptstore.reads import checkpoints as reads
from ckptstore.reads import meetings, planner
from ckptstore.reads.plans import PagePlan
from ckptstore.store import listing
from tests.support.build import checkpoint, config
from tests.support.build import metadata as metadata_of
from tests.support.filter_model import model

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """A checkpoint of the model."""

    checkpoint_id: str
    thread_id: str
    checkpoint_ns: str
    created_at: datetime
    metadata: dict[str, Any]


def ticks() -> Iterator[datetime]:
    """Times, a minute apart."""
    moment = BEGINNING
    while True:
        yield moment
        moment += timedelta(minutes=1)


async def world(saver: SQLAlchemySaver, id_of: Callable[[int, datetime], str] = lambda _number, _moment: str(uuid6())) -> list[Row]:
    """Store threads whose checkpoints differ in everything that can be searched by; returns the model's rows, newest first.

    Args:
        saver: where to store them.
        id_of: makes the id of a checkpoint from its number and time; by default they are of now, and so of later than their times.
    """
    rows, moments = [], ticks()
    for n in range(48):
        moment = next(moments)
        saver.clock = lambda moment=moment: moment  # type: ignore[misc]
        more: dict[str, Any] = {"user": f"u{n % 13}", "kind": "odd" if n % 2 else "even", "score": n / 2}
        more |= {"rare": "yes"} if n in {5, 30} else {}
        more |= {"deep": {"n": n, "same": True}} if n % 16 == 3 else {}
        more |= {"labels": ["a", f"b{n % 3}"]} if n % 4 else {}
        where = config(f"t{n % 5}", checkpoint_ns="sub" if n % 7 == 0 else "")
        made, found = checkpoint({"n": n}, id=id_of(n, moment)), metadata_of(n, **more)
        stored = (await saver.aput(where, made, found, made["channel_versions"]))["configurable"]
        rows.append(Row(stored["checkpoint_id"], stored["thread_id"], stored["checkpoint_ns"], moment, {**found}))
    return sorted(rows, reverse=True)


def expected_of(rows: list[Row], how: dict[str, Any]) -> list[str]:
    """The model's answer to a listing."""
    where = (how.get("config") or {}).get("configurable", {})
    before = (how.get("before") or {}).get("configurable", {}).get("checkpoint_id")
    found = [
        row.checkpoint_id
        for row in rows
        if all(getattr(row, name) == where[name] for name in ("thread_id", "checkpoint_ns", "checkpoint_id") if name in where)
        and (before is None or row.checkpoint_id < before)
        and (how.get("created_after") is None or row.created_at >= how["created_after"])
        and (how.get("created_before") is None or row.created_at < how["created_before"])
        and all(model(row.metadata.get(key, ...), value) for key, value in (how.get("filter") or {}).items())
    ]
    return found[: how.get("limit")]


def listed(found: list[Any]) -> list[str]:
    return [c.checkpoint["id"] for c in found]


def ids(listed: Any) -> list[str]:
    """The ids of listed threads."""
    return [thread.thread_id for thread in listed]


def walked(saver: SQLAlchemySaver, limit: int, **how: Any) -> Iterator[ThreadInfo]:
    """Every thread, by pages of so many that are asked for one after the other."""
    after = None
    while page := list(saver.list_threads(limit=limit, after=after, **how)):
        yield from page
        after = page[-1]


async def assert_answers(saver: SQLAlchemySaver, rows: list[Row], **how: Any) -> None:
    """Assert that a listing equals the model's, for several limits."""
    for limit in (None, 0, 1, 2, 3, 4, 7):
        limited = {"config": None, **how, "limit": limit}
        assert listed(await saver.alist(**limited)) == expected_of(rows, limited), limited


def spy(monkeypatch: pytest.MonkeyPatch) -> list[PagePlan]:
    """Record the plans of all pages."""
    made: list[PagePlan] = []
    plan: Callable[..., PagePlan] = reads.plan_page  # type: ignore[attr-defined]  # patched in the module that uses it

    def note(*args: Any) -> PagePlan:
        made.append(plan(*args))
        return made[-1]

    monkeypatch.setattr(reads, "plan_page", note)
    return made


def moment(minutes: int) -> datetime:
    return BEGINNING + timedelta(minutes=minutes)


FILTERS_OF_THE_WORLD: list[dict[str, Any]] = [
    {},
    {"kind": "odd"},
    {"kind": "odd", "user": "u3"},
    {"kind": "odd", "user": "u3", "source": "loop", "step": 3},
    {"kind": "odd", "nothing": "at all"},
    {"user": {"$in": []}},
    {"user": {"$in": ["u1"]}},
    {"user": {"$in": ["u1", "u2", "u3"]}},
    {"user": {"$in": ["u1", "u1", "u2", 1, None, True, "nobody"]}},
    {"user": {"$in": [f"u{n}" for n in range(12)]}},
    {"user": {"$in": [*(f"u{n}" for n in range(12)), "u1", "u2"]}, "kind": {"$in": ["odd", "even"]}},
    {"user": {"$in": ["u1", "u2"]}, "score": {"$gte": 3, "$lt": 20}},
    {"user": {"$in": [f"u{n}" for n in range(12)]}, "score": {"$gte": 3}, "kind": {"$ne": "odd"}},
    {"user": {"$in": ["u1", "u2"], "$ne": "u2"}},
    {"rare": {"$exists": True}, "user": {"$in": ["u5", "u4"]}},
    {"rare": {"$exists": False}, "user": {"$in": ["u5", "u4"]}},
    {"labels": ["a"], "user": {"$in": ["u5", "u4"]}},
    {"labels": [], "user": {"$ne": "u5"}},
    {"deep": {"same": True}},
    {"deep": {"n": {"$gt": 3}}, "kind": {"$in": ["odd"]}},
    {"deep": {}},
    {"score": 7, "kind": "even"},
    {"score": {"$in": [7, 7.0, 7.5]}},
]


def make_everything_frequent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few checkpoints be searched as thousands are: in small pages, by conditions that count as frequent."""
    monkeypatch.setattr(listing, "_PAGE_SIZE", 3)
    for name, value in {"_COUNT_BOUND": 3, "_THREADS_COUNT_BOUND": 3, "_MANY_CANDIDATES": 3, "_DENSITY_SAMPLE": 2}.items():
        monkeypatch.setattr(planner, name, value)
    for name, value in {"_MIN_STEPS": 2, "_MIN_SCAN": 2, "_POSTINGS_PER_STEP": 2, "_MAX_SCAN": 4, "_GROWTH": 2}.items():
        monkeypatch.setattr(meetings, name, value)
