"""Every kind of search that is documented, of checkpoints and of threads, and the extent of the tables that they go over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.build import config

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
