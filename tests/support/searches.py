"""Every kind of search that is documented, of checkpoints and of threads, and the extent of the tables that they go over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, cast

from langgraph.checkpoint.base import CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.base.id import uuid6

from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.encode import NewCheckpointKey
from ckptstore.records import CheckpointKey
from ckptstore.values.encode import EncodedWrite
from tests.support.attempts import encoded
from tests.support.build import config, id_at

THREADS = 300
STEPS = 10
NOW = datetime(2026, 1, 1, tzinfo=UTC)

SEARCHES: dict[str, dict[str, Any]] = {
    "one tag": {"filter": {"user": "u7"}},
    "two common tags": {"filter": {"kind": "even", "source": "loop"}},
    "a rare and a common tag": {"filter": {"rare": "yes", "kind": "even"}},
    "several values": {"filter": {"user": {"$in": ["u1", "u2", "u3"]}}},
    "many values": {"filter": {"user": {"$in": [f"u{n}" for n in range(12)]}, "kind": "even"}},
    "containment": {"filter": {"deep": {"inner": 3}}},
    "all of a list": {"filter": {"labels": ["a", "b3"]}},
    "equal": {"filter": {"user": {"$eq": "u7"}}},
    "not equal": {"filter": {"user": {"$ne": "u7"}}},
    "greater": {"filter": {"score": {"$gt": 290}}},
    "at least": {"filter": {"score": {"$gte": 290}}},
    "less": {"filter": {"score": {"$lt": 5}}},
    "at most": {"filter": {"score": {"$lte": 5}}},
    "a range and a tag": {"filter": {"step": {"$gte": 3, "$lt": 7}, "user": "u7"}},
    "there": {"filter": {"rare": {"$exists": True}}},
    "there, deeply": {"filter": {"deep": {"$exists": True}, "user": "u7"}},
    "not there": {"filter": {"rare": {"$exists": False}}},
    "before": {"filter": {"kind": "even"}, "before": config("t", "f")},
    "created before": {"created_before": NOW + timedelta(minutes=2)},
    "created after": {"created_after": NOW + timedelta(minutes=STEPS - 1)},
    "a tag, created before": {"filter": {"user": "u7"}, "created_before": NOW + timedelta(minutes=2)},
    "a common tag, created before": {"filter": {"kind": "even"}, "created_before": NOW + timedelta(minutes=STEPS - 1)},
    "a common tag, created after": {"filter": {"kind": "even"}, "created_after": NOW + timedelta(minutes=2)},
    "several common values, created before": {"filter": {"kind": {"$in": ["even", "odd"]}}, "created_before": NOW + timedelta(minutes=8)},
    "everything created before": {"created_before": NOW + timedelta(minutes=STEPS - 1)},
    "everything created within": {"created_after": NOW + timedelta(minutes=2), "created_before": NOW + timedelta(minutes=8)},
    "two common tags, created before": {
        "filter": {"kind": "even", "source": "loop"},
        "created_before": NOW + timedelta(minutes=STEPS - 1),
    },
    "a thread": {"config": config("thread-7")},
    "all namespaces of a thread": {"config": {"configurable": {"thread_id": "thread-7"}}},
    "all namespaces of a thread, and a tag": {"config": {"configurable": {"thread_id": "thread-7"}}, "filter": {"kind": "odd"}},
    "a thread and a tag": {"config": config("thread-7"), "filter": {"kind": "odd"}},
    "everything": {},
    "several of a list": {"filter": {"labels": [{"$in": ["b3", "b4"]}], "kind": "odd"}},
    "deeply in a range": {"filter": {"deep": {"inner": {"$gte": 59}}, "kind": "odd"}},
    "not equal to a list": {"filter": {"labels": {"$ne": ["b3"]}}},
    "an empty dict": {"filter": {"parents": {}}},
    "a thread and a common range": {"config": config("thread-7"), "filter": {"step": {"$gte": 3}}},
    "a namespace": {"config": {"configurable": {"checkpoint_ns": ""}}, "filter": {"user": "u7"}},
    "a window and two tags": {
        "filter": {"kind": "even", "source": "loop"},
        "created_after": NOW + timedelta(minutes=3),
        "created_before": NOW + timedelta(minutes=4),
    },
    "a thread and a window": {"config": config("thread-7"), "created_after": NOW + timedelta(minutes=3)},
    "before, in a thread": {"config": config("thread-7"), "before": config("t", "f")},
}
THREAD_SEARCHES: dict[str, dict[str, Any]] = {
    "all": {},
    "by id": {"order_by": "thread_id"},
    "of a user": {"filter": {"user": "u7"}},
    "of a common tag": {"filter": {"kind": "even", "source": "loop"}},
    "of a range": {"filter": {"score": {"$gt": 290}}},
    "of what only metadata decides": {"filter": {"rare": {"$exists": False}}},
    "of a rare tag, by id": {"filter": {"rare": "yes"}, "order_by": "thread_id"},
    "of several values": {"filter": {"user": {"$in": [f"u{n}" for n in range(12)]}, "kind": {"$ne": "odd"}}},
    "of a key that is there": {"filter": {"deep": {"$exists": True}, "rare": {"$exists": True}}},
    "of what is not equal, by id": {"filter": {"kind": {"$ne": "odd"}}, "order_by": "thread_id"},
}


def units(saver: SQLAlchemySaver) -> Iterator[EncodedWrite]:
    """The checkpoints and writes of these tables."""
    for step in range(STEPS):
        for n in range(THREADS):
            made = empty_checkpoint()
            version = f"{step + 1:08}.x"
            # In segments, in the body, or in rows of their own.
            rows: list[Any] = [step, b"x" * 400]
            value = Random(n).randbytes(40_000) if step == n % 30 else rows[(step + n) % 2]
            # Some are off time.
            id_ = str(uuid6()) if n % 60 == 5 else id_at(NOW + timedelta(minutes=step), n)
            made.update({"v": 4, "id": id_, "channel_values": {"n": value}, "channel_versions": {"n": version}})
            tags: dict[str, Any] = {
                "source": "loop",
                "step": step,
                "parents": {},
                "kind": "odd" if n % 2 else "even",
                "user": f"u{n % 50}",
            }
            tags |= {"score": n, "deep": {"inner": n % 60}, "labels": ["a", f"b{n % 60}"], **({"rare": "yes"} if n % 100 == 4 else {})}
            moment = int((NOW + timedelta(minutes=step)).timestamp() * 1e6)
            key = CheckpointKey(f"thread-{n}", "", made["id"])
            metadata = cast(CheckpointMetadata, tags)
            unit = saver.encoder.checkpoint(config(f"thread-{n}"), NewCheckpointKey(key, None, moment), made, metadata, {"n"})
            yield encoded(unit)
            yield encoded(saver.encoder.writes(key, [("n", step)], "task", "", moment))
