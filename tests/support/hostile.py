"""Arguments that nobody should pass, for every public method of a saver."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from ckptstore import (
    BlobRef,
    BlobSettings,
    DatabaseSettings,
    MonitoringSettings,
    RetentionPolicy,
    SaverOptions,
    SizeLimits,
    SQLAlchemySaver,
    TagKeys,
)
from tests.support.build import checkpoint
from tests.support.scalars import Stage

CHECKPOINT: Any = checkpoint()

CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def nested(levels: int) -> Any:
    made: Any = 1
    for level in range(levels):
        made = {"a": made} if level % 2 else [made]
    return made


def function(_: Any) -> None:
    """No value of a state, of metadata or of a filter."""


def enter(held: AbstractContextManager[Any]) -> None:
    with held:
        pass


SCALARS: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    2**31,
    2**63,
    2**1024,
    10**4000,
    1.5,
    math.nan,
    math.inf,
    -0.0,
    "",
    "t",
    "\0",
    "a\0b",
    "\ud800",
    "x" * 1_025,
    "é" * 513,
    "$gt",
    "a.b",
    "~2",
    b"x",
    Stage.DRAFT,
    UUID(int=1),
    Decimal("1.5"),
    datetime(2026, 1, 1),
    datetime.max.replace(tzinfo=UTC),
    date(2026, 1, 1),
    timedelta(1),
    timedelta.max,
    object(),
    function,
    range(3),
    set(),
    {1},
    frozenset({"a"}),
    nested(30),
    nested(120),
    nested(3_000),
    CYCLE,
    BlobRef("x", 1),
    1j,
    type,
]
# By their numbers: Python can't show all of them.
_ANY_SCALAR = st.integers(0, len(SCALARS) - 1).map(lambda number: SCALARS[number])
KEYS: list[Any] = [
    "a",
    "",
    "thread_id",
    "writes",
    "source",
    "\0",
    "\ud800",
    "k" * 2_000,
    "$ne",
    "$in",
    "$or",
    "a.b",
    1,
    None,
    10**4000,
    (1, 2),
    Stage.DRAFT,
]
_ANY_KEY = st.integers(0, len(KEYS) - 1).map(lambda number: KEYS[number])

ANYTHING = st.recursive(
    _ANY_SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_ANY_KEY, inner, max_size=3), st.tuples(inner, inner)),
    max_leaves=5,
)
OPERATORS = st.dictionaries(
    st.sampled_from(["$eq", "$ne", "$in", "$gt", "$gte", "$lt", "$lte", "$exists", "$bad", "a", 1]), ANYTHING, min_size=1, max_size=3
)
FILTERS = st.one_of(ANYTHING, st.dictionaries(_ANY_KEY, st.one_of(ANYTHING, OPERATORS), max_size=3))
IDS = st.one_of(st.just("t"), _ANY_SCALAR)
CONFIGS = st.one_of(
    st.just({"configurable": {"thread_id": "t", "checkpoint_ns": ""}}),
    st.fixed_dictionaries(
        {
            "configurable": st.fixed_dictionaries(
                {"thread_id": IDS}, optional={"checkpoint_ns": IDS, "checkpoint_id": IDS, "a": ANYTHING, "token": IDS}
            )
        },
        optional={"metadata": ANYTHING, "tags": ANYTHING},
    ),
    st.fixed_dictionaries({"configurable": ANYTHING}),
    ANYTHING,
)
CHECKPOINTS = st.one_of(
    st.builds(
        lambda parts: {**CHECKPOINT, **parts},
        st.fixed_dictionaries(
            {},
            optional={
                "v": ANYTHING,
                "id": IDS,
                "channel_values": st.one_of(ANYTHING, st.dictionaries(_ANY_KEY, ANYTHING, max_size=3)),
                "channel_versions": st.one_of(ANYTHING, st.dictionaries(_ANY_KEY, st.one_of(ANYTHING, st.just("1")), max_size=3)),
                "versions_seen": ANYTHING,
            },
        ),
    ),
    ANYTHING,
)
METADATA = st.one_of(ANYTHING, st.dictionaries(_ANY_KEY, ANYTHING, max_size=3))
WRITES = st.one_of(ANYTHING, st.lists(st.tuples(IDS, ANYTHING), max_size=3))
LIMITS = st.one_of(st.none(), st.just(2), ANYTHING)

#: Each public method: a call that is exhausted, so that everything it does is done, and its arguments.
CALLS: dict[str, tuple[Callable[..., Any], tuple[st.SearchStrategy[Any], ...]]] = {
    "put": (SQLAlchemySaver.put, (CONFIGS, CHECKPOINTS, METADATA, ANYTHING)),
    "put_ok": (lambda s, c, m: s.put(c, CHECKPOINT, m, {}), (CONFIGS, METADATA)),
    "put_writes": (SQLAlchemySaver.put_writes, (CONFIGS, WRITES, IDS, IDS)),
    "get_tuple": (SQLAlchemySaver.get_tuple, (CONFIGS,)),
    "get": (SQLAlchemySaver.get, (CONFIGS,)),
    "list": (
        lambda s, c, f, b, n, after, before: list(s.list(c, filter=f, before=b, limit=n, created_after=after, created_before=before)),
        (CONFIGS, FILTERS, CONFIGS, LIMITS, ANYTHING, ANYTHING),
    ),
    "list_filter": (lambda s, f: list(s.list(None, filter=f)), (FILTERS,)),
    "list_before": (lambda s, c, b: list(s.list(c, before=b, limit=3)), (CONFIGS, CONFIGS)),
    "list_threads": (
        lambda s, f, o, n, a: list(s.list_threads(filter=f, order_by=o, limit=n, after=a)),
        (FILTERS, st.one_of(st.just("thread_id"), ANYTHING), LIMITS, st.one_of(st.none(), ANYTHING)),
    ),
    "load": (SQLAlchemySaver.load, (ANYTHING,)),
    "get_delta_channel_history": (
        lambda s, c, n: s.get_delta_channel_history(config=c, channels=n),
        (CONFIGS, st.one_of(ANYTHING, st.lists(IDS, max_size=2))),
    ),
    "get_next_version": (SQLAlchemySaver.get_next_version, (ANYTHING, st.none())),
    "delete_thread": (SQLAlchemySaver.delete_thread, (IDS,)),
    "delete_for_runs": (SQLAlchemySaver.delete_for_runs, (st.one_of(ANYTHING, st.lists(IDS, max_size=3)),)),
    "copy_thread": (SQLAlchemySaver.copy_thread, (IDS, IDS)),
    "prune": (
        lambda s, ids, how: s.prune(ids, strategy=how),
        (st.one_of(ANYTHING, st.lists(IDS, max_size=3)), st.one_of(st.sampled_from(["keep_latest", "delete"]), ANYTHING)),
    ),
    "prune_older_than": (SQLAlchemySaver.prune_older_than, (st.one_of(ANYTHING, st.just(timedelta(1))),)),
    "prune_by_progress": (lambda s, f: s.prune_by(RetentionPolicy(keep_last=1), progress=f), (ANYTHING,)),
    "erase_progress": (lambda s, f: s.erase({"user": {"name": "ann"}}, progress=f), (ANYTHING,)),
    "copy_to_progress": (lambda s, f: s.copy_to(s, progress=f), (ANYTHING,)),
    "import_from_progress": (lambda s, f: s.import_from("missing", progress=f), (ANYTHING,)),
    "prune_by": (SQLAlchemySaver.prune_by, (ANYTHING,)),
    "policy": (lambda s, given: s.prune_by(RetentionPolicy.from_dict(given), dry_run=True), (ANYTHING,)),
    "keep_tags": (
        lambda s, f: s.prune_by(RetentionPolicy(max_age=timedelta(1), keep_tags=f)),
        (st.one_of(FILTERS, st.lists(FILTERS, max_size=2)),),
    ),
    "collect": (lambda s, grace: s.collect(grace=grace), (ANYTHING,)),
    "limits": (lambda s, limit: s.with_limits(SizeLimits(max_tags=limit, max_metadata_bytes=limit, warn_at=limit)), (ANYTHING,)),
    "with_limits": (SQLAlchemySaver.with_limits, (ANYTHING,)),
    "blobs.put": (lambda s, source: s.blobs.put(source).result(), (ANYTHING,)),
    "blobs.get": (lambda s, ref: s.blobs.get(ref).result(), (ANYTHING,)),
    "blobs.open": (lambda s, ref: s.blobs.open(ref).result(), (ANYTHING,)),
    "verify": (lambda s, deep: s.verify(deep=deep), (ANYTHING,)),
    "vacuum": (lambda s, full: s.vacuum(full=full), (ANYTHING,)),
    "health": (lambda s, seconds: s.health(within_seconds=seconds), (ANYTHING,)),
    # Numbers that would work make partitions, which stay.
    "setup": (lambda s, n: s.setup(partitions=n).result(), (ANYTHING.filter(lambda n: n is not None and type(n) is not int),)),
    "erase": (lambda s, wanted, grace: s.erase(wanted, grace=grace, dry_run=True), (FILTERS, ANYTHING)),
    "reencrypt": (SQLAlchemySaver.reencrypt, (ANYTHING,)),
    "import_from": (
        lambda s, source, schema: s.import_from(source, schema=schema),
        (ANYTHING.filter(lambda source: source != "t"), ANYTHING),
    ),
    "hold": (lambda s, thread, ttl, label: enter(s.hold(thread, ttl=ttl, wait=0, label=label)), (IDS, ANYTHING, ANYTHING)),
    "hold_wait": (lambda s, wait: enter(s.hold("t", wait=wait)), (ANYTHING,)),
    "own_lease": (lambda s, thread: s.own_lease(thread), (IDS,)),
    "tag_keys": (lambda _, given: TagKeys(include=given, exclude=given, credentials=given), (ANYTHING,)),
    "settings": (
        lambda _, given: (
            DatabaseSettings(pool_size=given, max_pending=given),
            DatabaseSettings(retry_seconds=given, attempt_seconds=given),
            DatabaseSettings(synchronous=given),
        ),
        (ANYTHING,),
    ),
    "blob_settings": (lambda _, given: BlobSettings(max_parallel=given, part_bytes=given, recheck_seconds=given), (ANYTHING,)),
    "monitoring": (lambda _, given: MonitoringSettings(slow_write_seconds=given), (ANYTHING,)),
    "from_conn_string": (lambda _, url: SQLAlchemySaver.from_conn_string(url).close(), (ANYTHING,)),
    "options": (
        lambda _, name, given: SQLAlchemySaver.from_conn_string(":memory:", **{name: given}).close(),
        (st.sampled_from([name for name in SaverOptions.__annotations__ if name != "serde"]), ANYTHING),
    ),
}
#: Public methods that take no argument, or only what another one of `CALLS` takes too.
WITHOUT_ARGUMENTS = ("close", "copy_to", "rebuild_tags", "relocate_blobs", "stats", "with_allowlist")
