"""Whole runs of pruning: which threads, one after the other, and a report of what went."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Select

from ckptstore.db import sql
from ckptstore.db.handle import Db, Rows
from ckptstore.db.runner import Work
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.maintenance.prune_plan import Rule
from ckptstore.maintenance.prune_thread import CarryOut, Request, Task, decide, try_out
from ckptstore.maintenance.reports import DeletedRows, PruneReport
from ckptstore.records import StateFormat
from ckptstore.runtime.steps import Steps

T = TypeVar("T")

logger = logging.getLogger(__name__)

_PAGE = 1_000


class _Pace(NamedTuple):
    """How much is done at once: what is read together holds others up in Python, and what is deleted together on SQLite."""

    threads_decided: int
    checkpoints_deleted: int


_BESIDE_OTHERS = _Pace(threads_decided=8, checkpoints_deleted=40)
_ALONE = _Pace(threads_decided=50, checkpoints_deleted=500)
_QUIET_SECONDS = 0.5


class Running(Protocol):
    """How work gets to the database: a store's ways."""

    @property
    def idle_seconds(self) -> float: ...
    def read(self, work: Work[T]) -> Steps[T]: ...
    def run_concurrently(self, work: Work[T], *threads: str) -> Steps[T]: ...


def ignore_progress(_report: PruneReport) -> None:
    """Nobody looks on."""


def never_stop() -> bool:
    """Nobody ends it early."""
    return False


class PruneCallbacks(NamedTuple):
    """What a caller sees of a run, and how it ends one early."""

    #: Told what went so far, after each transaction.
    progress: Callable[[PruneReport], None] = ignore_progress
    #: Asked before each transaction, and before each page of threads is looked for.
    should_stop: Callable[[], bool] = never_stop


NO_CALLBACKS = PruneCallbacks()


class Pruner:
    """Prunes through a store, a small transaction at a time: writers go on in between.

    Args:
        store: where it runs.
        state_format: what its checkpoints mean.
    """

    def __init__(self, store: Running, state_format: StateFormat) -> None:
        self._store = store
        self._state_format = state_format

    def threads(self, wanted: Iterable[tuple[str, Rule]]) -> Steps[PruneReport]:
        """Delete what a rule does not keep of a thread, for each of some threads."""
        run = _Run(PruneCallbacks(), dry_run=False, policy=None)
        requests = deque(Request(thread_id, rule, self._state_format) for thread_id, rule in wanted)
        while requests:
            tasks = yield from self._decide(_taken(requests, self._pace().threads_decided))
            yield from self._carry_out(tasks, run)
        return (yield from self._ended(run))

    def by_policy(self, policy: RetentionPolicy, now: int, watch: PruneCallbacks, *, dry_run: bool) -> Steps[PruneReport]:
        """Delete what a policy does not keep, in all threads, and writes past its age whose checkpoint never came.

        Args:
            policy: what stays.
            now: the moment that ages count from (microseconds since 1970, UTC).
            watch: who looks on.
            dry_run: do it and undo it, thread by thread: the report is that of a real run.
        """
        run = _Run(watch, dry_run=dry_run, policy=policy)
        request = Request("", policy.rule(now), self._state_format, policy.orphan_cutoff(now), policy.cutoff("thread_ttl", now))
        done: set[str] = set()
        for stream in _streams(policy, now):
            after: Mapping[str, Any] | None = stream.start
            while after is not None and not run.should_end():
                page = yield from self._page(stream, after)
                found = deque(request._replace(thread_id=thread_id) for thread_id in stream.threads_of(page) if thread_id not in done)
                while found and not run.ended:
                    decided = yield from self._decide(_taken(found, self._pace().threads_decided))
                    tasks = [task for task in decided if stream.of_strays or task.takes_something or not task.stamp.checkpoint_count]
                    done.update(task.request.thread_id for task in tasks)
                    yield from self._carry_out(tasks, run)
                after = dict(zip(stream.start, page[-1][2:], strict=True)) if page else None
        return (yield from self._ended(run))

    def _pace(self) -> _Pace:
        return _BESIDE_OTHERS if self._store.idle_seconds < _QUIET_SECONDS else _ALONE

    def _page(self, stream: _Stream, after: Mapping[str, Any]) -> Steps[Sequence[Sequence[Any]]]:
        parameters = {**stream.parameters, **after, "page_size": _PAGE}
        return self._store.read(lambda db: db.run(stream.build, parameters).all())

    def _decide(self, requests: Sequence[Request]) -> Steps[list[Task]]:
        return self._store.read(partial(decide, requests=requests))

    def _carry_out(self, tasks: Sequence[Task], run: _Run) -> Steps[None]:
        """Carry out tasks, in transactions of a bounded size."""
        left = list(tasks)
        while left and not run.should_end():
            some = _first(left, self._pace().checkpoints_deleted)
            work = partial(try_out, tasks=some) if run.dry_run else CarryOut(some)
            started = time.perf_counter()
            outcome = yield from self._store.run_concurrently(work, *[task.request.thread_id for task in some])
            run.add(outcome)
            if self._pace() is _BESIDE_OTHERS:
                # Others get as much of the database as this does.
                yield _after(time.perf_counter() - started)
            left = [task for task in outcome if not task.done] + left[len(some) :]
        run.leave(left)

    def _ended(self, run: _Run) -> Steps[PruneReport]:
        """The report, with the objects that nothing refers to any more."""
        objects = object_bytes = 0
        keys = sorted(run.references)
        for start in range(0, len(keys), _PAGE):
            rows = yield from self._store.read(partial(self._references, keys=keys[start : start + _PAGE]))
            for key, size, references in rows:
                # After a dry run those that would have gone are there.
                if references == (run.references[key] if run.dry_run else 0):
                    objects, object_bytes = objects + 1, object_bytes + size
        return run.report(objects, object_bytes)

    def _references(self, db: Db, keys: Sequence[str]) -> Rows:
        """Key and size of some objects, and how many segments refer to each."""
        return db.run(sql.prune.references_to_objects, db.object_keys(keys))


def _after(seconds: float) -> Future[None]:
    """Done when so much time has passed."""
    passed: Future[None] = Future()
    timer = threading.Timer(seconds, passed.set_result, [None])
    timer.daemon = True
    timer.start()
    return passed


def _taken(requests: deque[Request], most: int) -> list[Request]:
    """The first of them, which are then no longer among them."""
    return [requests.popleft() for _ in range(min(most, len(requests)))]


def _first(tasks: Sequence[Task], most: int) -> Sequence[Task]:
    """Tasks of no more checkpoints than that in all, at least one task."""
    size = 0
    for number, task in enumerate(tasks):
        size += task.size
        if number and size > most:
            return tasks[:number]
    return tasks


class _Stream(NamedTuple):
    """Pages of threads that may have something to lose: each row has the thread, its checkpoints, and where the next page begins."""

    build: Callable[[str], Select[Any]]
    parameters: Mapping[str, Any]
    #: Where the first page begins, by the names of the parameters that say so.
    start: Mapping[str, Any]
    #: Threads with no more checkpoints than this lose none.
    longer_than: int = -1
    #: Whether it leads to writes without a checkpoint: they go even where no checkpoint does.
    of_strays: bool = False

    def threads_of(self, page: Sequence[Sequence[Any]]) -> Iterable[str]:
        """The threads of a page, each once."""
        return dict.fromkeys(row[0] for row in page if row[1] > self.longer_than)


_BEFORE_ALL_TIME = -(2**62)


def _streams(policy: RetentionPolicy, now: int) -> list[_Stream]:
    streams: list[_Stream] = []
    by_id = {"after_thread_id": ""}
    old, idle, oldest = policy.cutoff("max_age", now), policy.cutoff("thread_ttl", now), policy.orphan_cutoff(now)
    if old is not None:
        start = {"after_created_at": _BEFORE_ALL_TIME, "after_thread_id": "", "after_checkpoint_ns": "", "after_checkpoint_id": ""}
        streams.append(_Stream(sql.prune.old_checkpoints, {"moment": old}, start, longer_than=policy.keep_last or 0))
    elif policy.keep_last is not None:
        streams.append(_Stream(sql.prune.long_threads, {"longest": policy.keep_last}, by_id))
    if idle is not None:
        streams.append(_Stream(sql.prune.idle_threads, {"moment": idle}, {"after_updated_at": _BEFORE_ALL_TIME, "after_thread_id": ""}))
    if oldest is not None:
        streams.append(_Stream(sql.prune.threads_with_stray_writes, {"moment": oldest}, by_id, of_strays=True))
    return streams


class _Run:
    """What one run has done so far."""

    def __init__(self, watch: PruneCallbacks, *, dry_run: bool, policy: RetentionPolicy | None) -> None:
        self._watch = watch
        self._policy = policy
        self._started = time.perf_counter()
        self._removed = DeletedRows()
        self._threads = 0
        #: Whether the caller wants no more of it.
        self.ended = False
        self.dry_run = dry_run
        #: How many references to each object went.
        self.references: Counter[str] = Counter()

    def should_end(self) -> bool:
        """Ask whether the caller wants no more of it; once it does, it is not asked again."""
        self.ended = self.ended or self._watch.should_stop()
        return self.ended

    def add(self, tasks: Iterable[Task]) -> None:
        """Take in what just went of some threads."""
        for task in tasks:
            self.references.update(task.removed.object_keys)
            self._threads += task.done and task.took_something
            self._removed += replace(task.removed, object_keys=())
        self._watch.progress(self._so_far(0, 0))

    def leave(self, tasks: Iterable[Task]) -> None:
        """Take in that these were begun, and are not done."""
        self._threads += sum(task.took_something for task in tasks)

    def report(self, objects: int, object_bytes: int) -> PruneReport:
        """The whole of it; every run leaves a trace, also one that deleted nothing."""
        report = self._so_far(objects, object_bytes)
        told = report.to_dict() | {"policy": self._policy.to_dict() if self._policy else None}
        logger.info(
            "%s: %d checkpoints, %d writes, %d values, %d segments of %d threads, %d bytes in %.3f s",
            "would be pruned" if report.dry_run else "pruned", report.checkpoints, report.writes, report.values, report.segments,
            report.threads, report.bytes, report.seconds, extra={"event": "pruned", **told},
        )  # fmt: skip
        return report

    def _so_far(self, objects: int, object_bytes: int) -> PruneReport:
        removed = self._removed
        return PruneReport(
            threads=self._threads,
            deleted_threads=removed.threads,
            checkpoints=removed.checkpoints,
            writes=removed.writes,
            values=removed.values,
            segments=removed.segments,
            bytes=removed.bytes,
            objects=objects,
            object_bytes=object_bytes,
            stopped=self.ended,
            dry_run=self.dry_run,
            seconds=time.perf_counter() - self._started,
        )
