"""Checks that a prune, a deletion or a copy leaves the remaining checkpoints unchanged: readings of threads, and ways to prune."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, islice
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.types import Command, StateSnapshot

from ckptstore import PruneReport, RetentionPolicy, SQLAlchemySaver
from ckptstore.maintenance.prune_plan import CheckpointRef
from tests.support.clocks import START_OF_TIME, Days
from tests.support.graphs import seen

#: The channels that are rebuilt from writes, in every graph and every history of these tests.
DELTA_CHANNELS = ("said", "facts", "d")


class Twinned(SQLAlchemySaver):
    """Repeats every put with a second saver, which is never pruned and so shows the unpruned thread."""

    twin: SQLAlchemySaver

    async def aput(self, config: RunnableConfig, *parts: Any) -> RunnableConfig:
        await self.twin.aput(config, *parts)
        return await super().aput(config, *parts)

    # LangGraph looks for `task_path` in the signature.
    async def aput_writes(self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = "") -> None:
        await self.twin.aput_writes(config, writes, task_id, task_path)
        await super().aput_writes(config, writes, task_id, task_path)


@dataclass
class World:
    """What nodes read in addition to their state."""

    saver: SQLAlchemySaver
    broken: bool = False
    #: How often each node ran.
    runs: Counter[str] = field(default_factory=Counter)

    async def fail_once_written(self, channel: str) -> None:
        """If the world is broken, raise as soon as another node's write to a channel is pending."""
        self.runs["fallible"] += 1
        while self.broken:
            listed = [each async for each in self.saver.alist({"configurable": {"thread_id": "t"}}, limit=3)]
            if any(channel in (name for _, name, _ in found.pending_writes or ()) for found in listed):
                raise ValueError("broken")
            await asyncio.sleep(0)


# --- what a reader sees ------------------------------------------------------------------------------------------------


class Reading(NamedTuple):
    """All that can be read of one checkpoint."""

    found: CheckpointTuple
    histories: Mapping[str, Any]
    state: StateSnapshot | None = None
    #: With the states of its subgraphs.
    deep: StateSnapshot | None = None


def ref_of(where: RunnableConfig) -> CheckpointRef:
    """The checkpoint that a config names."""
    named = where["configurable"]
    return CheckpointRef(named["checkpoint_ns"], named["checkpoint_id"])


def rebuilt(found: CheckpointTuple) -> list[str]:
    """The channels that LangGraph asks the history for: those that were written, and are not stored here."""
    kept = found.checkpoint
    return [name for name in DELTA_CHANNELS if name in kept["channel_versions"] and name not in kept["channel_values"]]


async def read_all(saver: SQLAlchemySaver, thread_id: str, graph: Any = None) -> dict[CheckpointRef, Reading]:
    """All that can be read of a thread, over all namespaces."""
    readings = {}
    for found in await saver.alist({"configurable": {"thread_id": thread_id}}):
        assert await saver.aget_tuple(found.config) == found
        histories = await saver.aget_delta_channel_history(config=found.config, channels=rebuilt(found))
        states = [await graph.aget_state(found.config, subgraphs=deep) for deep in (False, True)] if graph else []
        readings[ref_of(found.config)] = Reading(found, histories, *states)
    return readings


def assert_untouched(before: Mapping[CheckpointRef, Reading], after: Mapping[CheckpointRef, Reading], left: Set[CheckpointRef]) -> None:
    """Assert that exactly these checkpoints are left, and that each reads as before, without a parent if that is not left."""
    assert set(after) == left
    for ref in left:
        was, now = before[ref], after[ref]
        hidden = set() if was.deep is None else not_left(was.deep, left)
        assert now.found == was.found._replace(parent_config=parent_left(was.found.parent_config, left))
        assert now.histories == was.histories
        assert without(now.state, set()) == without(was.state, set(), left)
        assert without(now.deep, hidden) == without(was.deep, hidden, left)


def parent_left(parent: RunnableConfig | None, left: Set[CheckpointRef]) -> RunnableConfig | None:
    """A parent, or None if it is not left."""
    return parent if parent is not None and ref_of(parent) in left else None


def not_left(snapshot: StateSnapshot, left: Set[CheckpointRef]) -> set[str]:
    """The tasks whose subgraph's state is of a checkpoint that is not left: it belongs to another checkpoint than the task."""
    deleted: set[str] = set()
    for task in snapshot.tasks:
        if isinstance(task.state, StateSnapshot):
            shown = task.state.config["configurable"]
            # A subgraph that has not begun has no checkpoint that could be deleted.
            if "checkpoint_id" in shown and ref_of(task.state.config) not in left:
                deleted.add(task.id)
            deleted |= not_left(task.state, left)
    return deleted


def without(
    snapshot: RunnableConfig | StateSnapshot | None, tasks: Set[str], left: Set[CheckpointRef] | None = None
) -> RunnableConfig | StateSnapshot | None:
    """A state without those of some tasks' subgraphs, and without parents that are not left, if that is given."""
    if not isinstance(snapshot, StateSnapshot):
        return snapshot
    kept = (task._replace(state=None if task.id in tasks else without(task.state, tasks, left)) for task in snapshot.tasks)
    # The config of a subgraph that has not begun also names the saver.
    named = {name: value for name, value in snapshot.config["configurable"].items() if not name.startswith("__")}
    parent = snapshot.parent_config if left is None else parent_left(snapshot.parent_config, left)
    return snapshot._replace(config={"configurable": named}, parent_config=parent, tasks=tuple(kept))


def in_thread(value: Any, source: str, target: str) -> Any:
    """Any value that was read, with the thread id replaced by another's."""
    if isinstance(value, dict):
        return {key: in_thread(part, source, target) for key, part in value.items()}
    if isinstance(value, list):
        return [in_thread(part, source, target) for part in value]
    if isinstance(value, tuple):
        parts = [in_thread(part, source, target) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return target if value == source else value


# --- resuming ----------------------------------------------------------------------------------------------------------


def resumable(readings: Mapping[CheckpointRef, Reading], left: Set[CheckpointRef]) -> list[tuple[CheckpointRef, bool]]:
    """The root's checkpoints to resume from, in an order in which results can be compared, and whether each is the newest.

    Those at which a node is due, and that need no checkpoint that is not left: neither a subgraph's state that belongs to
    another checkpoint, nor a memory.
    """
    states = {ref: readings[ref] for ref in left if ref.checkpoint_ns == ""}
    due = sorted(ref for ref, read in states.items() if read.state.next and _is_whole(ref, readings, left))  # type: ignore[union-attr]
    newest = max(ref for ref in readings if ref.checkpoint_ns == "")
    if newest in due:
        return [(newest, True), *((ref, False) for ref in due if ref != newest)]
    # LangGraph compares with the newest checkpoint to see whether a run goes back: the first one isn't the newest, so none is.
    return [(ref, False) for ref in due if ref != due[0] or ref != max(states)]


def _is_whole(ref: CheckpointRef, readings: Mapping[CheckpointRef, Reading], left: Set[CheckpointRef]) -> bool:
    memories = {namespace for namespace, _ in readings if namespace and ":" not in namespace.rpartition("|")[2]}
    earlier = (
        max((each for each in readings if each.checkpoint_ns == name and each.checkpoint_id < ref.checkpoint_id), default=None)
        for name in memories
    )
    deep = readings[ref].deep
    return deep is not None and not not_left(deep, left) and all(each is None or each in left for each in earlier)


async def resumed(graph: Any, thread_id: str, ref: CheckpointRef, runs: Counter[str], *, newest: bool) -> Any:
    """Resume from a checkpoint, with an answer to each of its questions; returns the final state, and how often each node ran."""
    where: RunnableConfig = {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": ref.checkpoint_id}}
    waiting = await graph.aget_state(where)
    if newest:
        del where["configurable"]["checkpoint_id"]
    runs.clear()
    answers = {asked.id: f"answer to {asked.value}" for asked in waiting.interrupts}
    await graph.ainvoke(Command(resume=answers) if answers else None, where)
    ended = await graph.aget_state({"configurable": {"thread_id": thread_id}}, subgraphs=True)
    return seen(ended), dict(runs)


# --- ways to prune -----------------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """The facts that decide whether a checkpoint is pruned."""

    ref: CheckpointRef
    #: The root's checkpoint under which it ran; itself if it is in the root's namespace.
    root: CheckpointRef
    run: int
    #: When it was made.
    day: float

    @classmethod
    def of(cls, found: CheckpointTuple) -> Known:
        """The facts of a checkpoint that a `Script` made: one run per day."""
        ref, run = ref_of(found.config), int(found.metadata["run_id"].partition(".")[0])
        root = CheckpointRef("", found.metadata["parents"][""]) if ref.checkpoint_ns else ref
        return cls(ref, root, run, run)


class Way(NamedTuple):
    """How to prune, and which checkpoints it must leave."""

    prune: Callable[[SQLAlchemySaver, str], Awaitable[Any]]
    leaves: Callable[[Iterable[Known]], set[CheckpointRef]]
    #: Whether it prunes all threads, not only the given one.
    everywhere: bool = False


def ids_of(run: int) -> Iterator[str]:
    """Ids of successive runs on one day: input with the run id of the last checkpoint would resume its run."""
    return (f"{run}.{number}" for number in count())


def newest_of_each(known: Iterable[Known]) -> set[CheckpointRef]:
    return {CheckpointRef(*found) for found in {each.ref.checkpoint_ns: each.ref.checkpoint_id for each in sorted(known)}.items()}


def is_memory(ref: CheckpointRef) -> bool:
    """Whether the checkpoint is of a subgraph that keeps its state from one run to the next."""
    return ref.checkpoint_ns != "" and ":" not in ref.checkpoint_ns


def with_family(seeds: Callable[[list[Known]], Iterable[Known]]) -> Callable[[Iterable[Known]], set[CheckpointRef]]:
    """The seeds are kept, with all that ran under the same roots, and, if any are, the newest checkpoint of each memory."""

    def leaves(given: Iterable[Known]) -> set[CheckpointRef]:
        known = list(given)
        chosen = list(seeds(known))
        roots = {each.root for each in chosen}
        family = {each.ref for each in known if each.root in roots}
        return family | newest_of_each(each for each in known if is_memory(each.ref)) if chosen else set()

    return leaves


def made_since(day: float) -> Callable[[list[Known]], list[Known]]:
    return lambda known: [each for each in known if each.day >= day]


def last_of_each(number: int) -> Callable[[list[Known]], list[Known]]:
    def seeds(known: list[Known]) -> list[Known]:
        namespaces: defaultdict[str, list[Known]] = defaultdict(list)
        for each in sorted(known):
            # The checkpoint of a task's subgraph is useless without its root.
            if ":" not in each.ref.checkpoint_ns or each.root == each.ref:
                namespaces[each.ref.checkpoint_ns].append(each)
        return [each for found in namespaces.values() for each in found[-number:]]

    return seeds


def newest_roots(known: list[Known]) -> list[Known]:
    """The newest checkpoint of each namespace among those that ran under none that is there."""
    refs = {each.ref for each in known}
    newest = newest_of_each(each for each in known if each.root == each.ref or each.root not in refs)
    return [each for each in known if each.ref in newest]


def not_of(*runs: int) -> Callable[[Iterable[Known]], set[CheckpointRef]]:
    return lambda known: {each.ref for each in known if each.run not in runs}


def age_since(saver: SQLAlchemySaver, day: float) -> timedelta:
    """How long ago a day was; zero for a day in the future."""
    assert isinstance(saver.clock, Days)
    saver.clock.now += timedelta(seconds=1)
    return max(timedelta(0), saver.clock.now - (START_OF_TIME + timedelta(days=day)))


def older_than(day: float) -> Way:
    async def prune(saver: SQLAlchemySaver, _thread_id: str) -> None:
        await saver.aprune_older_than(age_since(saver, day))

    return Way(prune, with_family(made_since(day)), everywhere=True)


def by_policy(seeds: Callable[[list[Known]], Iterable[Known]], *, since: float | None = None, idle: bool = False, **policy: Any) -> Way:
    """Prune by a policy whose age reaches back to a day; with `idle`, idle threads are deleted whatever their age."""

    async def prune(saver: SQLAlchemySaver, _thread_id: str) -> None:
        age = None if since is None else age_since(saver, since)
        if idle:
            assert isinstance(saver.clock, Days)
            saver.clock.now += timedelta(seconds=2)
        # A dry run reports what a run will do, without doing it; a second run finds nothing to do.
        wanted = RetentionPolicy(max_age=age, thread_ttl=timedelta(0) if idle else None, **policy)
        tried, done = await saver.aprune_by(wanted, dry_run=True), await saver.aprune_by(wanted)
        assert tried == done
        assert await saver.aprune_by(wanted) == PruneReport()

    return Way(prune, with_family(seeds), everywhere=True)


def of_runs(*runs: int) -> Way:
    ids = [name for run in runs for name in islice(ids_of(run), 50)]
    return Way(lambda saver, _thread_id: saver.adelete_for_runs(ids), not_of(*runs), everywhere=True)


#: Every way there is to prune.
WAYS: Mapping[str, Way] = {
    "keep_latest": Way(lambda saver, thread_id: saver.aprune([thread_id], strategy="keep_latest"), with_family(newest_roots)),
    "delete": Way(lambda saver, thread_id: saver.aprune([thread_id], strategy="delete"), lambda _known: set()),
    "older than the second run": older_than(1),
    "older than the third run": older_than(2),
    "older than all": older_than(1000),
    "the second run": of_runs(1),
    "the last run": of_runs(2),
    "two runs": of_runs(0, 2),
    "policy: the last two": by_policy(last_of_each(2), keep_last=2),
    "policy: the third run, and the last three": by_policy(
        lambda known: [*made_since(2)(known), *last_of_each(3)(known)], since=2, keep_last=3
    ),
    "policy: the first run is exempt": by_policy(
        lambda known: [each for each in known if each.run == 0 or each.run >= 2], since=2, keep_tags={"run_id": {"$lt": "1"}}
    ),
    "policy: idle": by_policy(
        lambda known: [each for each in known if each.run == 1], idle=True, keep_tags={"run_id": {"$gte": "1", "$lt": "2"}}
    ),
}


# --- what is left behind -----------------------------------------------------------------------------------------------
