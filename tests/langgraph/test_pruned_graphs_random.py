"""Random histories, by hand and of a real graph: after every prune what is left reads as in a twin that was never pruned."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot
from langgraph.types import Command

from ckptstore import SQLAlchemySaver
from ckptstore.maintenance.prune_plan import CheckpointRef
from tests.support.build import checkpoint, config, metadata
from tests.support.clocks import Days
from tests.support.graph_runs import speaking_within, text
from tests.support.remaining import WAYS, Known, Reading, Twinned, assert_untouched, ids_of, in_thread, read_all, ref_of
from tests.support.rows import Rows

slow = settings(deadline=None, suppress_health_check=[*HealthCheck])
SIZES = (20, 700, 70_000)


@dataclass
class Pair:
    """A saver and its twin: what should be left of each thread in the one, of what the other has."""

    saver: Twinned
    clock: Days
    graph: Any = None
    run: int = 0
    run_ids: Iterator[str] = field(default_factory=lambda: ids_of(0))
    left: dict[str, set[CheckpointRef]] = field(default_factory=dict)
    #: What the source of each copy read as when it was copied.
    copied: dict[str, dict[CheckpointRef, Reading]] = field(default_factory=dict)

    def next_run(self) -> None:
        self.run += 1
        self.run_ids = ids_of(self.run)
        self.clock.go_to(self.run)

    async def prune(self, name: str, thread_id: str) -> None:
        """Prune, and check all threads: those that were meant and the others."""
        pruned = set() if WAYS[name].everywhere else {thread_id}
        for each, was in self.left.items():
            if WAYS[name].everywhere or each == thread_id:
                found = await self.saver.alist({"configurable": {"thread_id": each}})
                self.left[each] = WAYS[name].leaves([Known.of(one) for one in found])
                pruned |= {each} if self.left[each] != was else set()
        await WAYS[name].prune(self.saver, thread_id)
        await self.check(pruned)

    async def check(self, pruned: set[str]) -> None:
        for thread_id, left in self.left.items():
            unpruned = self.copied.get(thread_id) or await self.read_twin(thread_id)
            assert_untouched(unpruned, await read_all(self.saver, thread_id, self.graph), left)
        orphans = Rows.of(self.saver).orphans()
        # A write that is replaced leaves its segments behind until its thread is pruned.
        orphans["ckpt_segment"] = {key for key in orphans.get("ckpt_segment", ()) if key[0] in pruned}
        assert not any(orphans.values()), orphans
        assert (await self.saver.averify()).ok

    async def read_twin(self, thread_id: str) -> dict[CheckpointRef, Reading]:
        return await read_all(self.saver.twin, thread_id, self.graph and self.graph.copy({"checkpointer": self.saver.twin}))

    async def copy(self, source: str) -> None:
        target = f"copy {len(self.left)}"
        await self.saver.acopy_thread(source, target)
        # The twin is not asked for a copy: it would go wrong there too.
        self.copied[target] = in_thread(await self.read_twin(source), source, target)
        self.left[target] = set(self.left[source])


async def paired(stack: AsyncExitStack, url: str) -> Pair:
    """On an empty database: an example finds what the one before left."""
    clock = Days()
    saver = await stack.enter_async_context(Twinned.from_conn_string(url, clock=clock))
    saver.twin = await stack.enter_async_context(SQLAlchemySaver.from_conn_string(":memory:", clock=clock))
    for listed in await saver.alist_threads():
        await saver.adelete_thread(listed.thread_id)
    return Pair(saver, clock, left={"t": set()})


# --- by hand -----------------------------------------------------------------------------------------------------------


class Put(NamedTuple):
    """A child of a checkpoint that is left, or a checkpoint without a parent."""

    parent: int | None
    namespace: str
    #: What becomes of an ordinary channel: kept channels are carried over by their versions.
    ordinary: Literal["set", "kept", "emptied"]
    size: int
    #: What becomes of a channel that is rebuilt from writes; a graph that does not know it carries over its version.
    delta: Literal["idle", "written", "snapshot", "unknown"]
    #: Those of an old format leave what they send with their parent.
    format: int


class Write(NamedTuple):
    at: int
    task: str
    channel: str
    size: int


class Do(NamedTuple):
    what: Literal["prune", "copy", "next run"]
    way: str
    thread: int


NAMESPACES = ("", "memory", "inner:1")
puts = st.builds(
    Put,
    st.none() | st.integers(0, 9),
    st.sampled_from(NAMESPACES),
    st.sampled_from(("set", "kept", "emptied")),
    st.sampled_from(SIZES),
    st.sampled_from(("written", "idle", "snapshot", "unknown")),
    st.sampled_from((4, 3)),
)
writes = st.builds(Write, st.integers(0, 9), st.sampled_from("xyz"), st.sampled_from(("a", "d", TASKS)), st.sampled_from(SIZES))
others = st.builds(Do, st.sampled_from(("next run", "prune", "copy")), st.sampled_from(sorted(WAYS)), st.integers(0, 3))


@dataclass
class State:
    """What a child has from its parent."""

    versions: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    #: By channel, updates and steps since the last snapshot.
    counted: dict[str, tuple[int, int]] = field(default_factory=dict)


class ByHand:
    """Does what LangGraph does, as far as a saver sees it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.count = 0
        self.versions: Counter[str] = Counter()
        self.made: dict[CheckpointRef, State] = {}

    def next(self) -> int:
        self.count += 1
        return self.count

    def pick(self, number: int, namespace: str | None = None) -> CheckpointRef | None:
        """The newest but so many that are left."""
        left = sorted((ref for ref in self.pair.left["t"] if namespace in (None, ref.checkpoint_ns)), reverse=True)
        return left[number % len(left)] if left else None

    @staticmethod
    def at(ref: CheckpointRef) -> RunnableConfig:
        return config("t", ref.checkpoint_id, ref.checkpoint_ns)

    async def do(self, step: Put | Write | Do) -> None:
        pair = self.pair
        if isinstance(step, Put):
            await self.put(step)
        elif isinstance(step, Write):
            await self.write(self.pick(step.at), step.channel, step.size, step.task)
        elif step.what == "next run":
            pair.next_run()
        elif step.what == "copy":
            await pair.copy("t")
        else:
            await pair.prune(step.way, sorted(pair.left)[step.thread % len(pair.left)])

    async def write(self, ref: CheckpointRef | None, channel: str, size: int, task: str | None = None) -> None:
        if ref is not None:
            await self.pair.saver.aput_writes(self.at(ref), [(channel, text(self.next(), size))], task or f"task {self.next()}", "")

    async def put(self, step: Put) -> None:
        root = self.pick(0, "") if step.namespace else None
        if step.namespace and root is None:
            return
        parent = None if step.parent is None else self.pick(step.parent, step.namespace)
        earlier = self.made[parent] if parent else State()
        # Namespaces have versions in common, as they have in threads that came from a saver whose versions are numbers.
        self.versions[step.namespace] += 1
        versions, values, new = dict(earlier.versions), dict(earlier.values), dict[str, str]()

        def set_(channel: str, value: Any) -> None:
            versions[channel] = new[channel] = f"{self.versions[step.namespace]:08}"
            values.pop(channel, None)
            if value is not None:
                values[channel] = value

        if step.ordinary != "kept":
            set_("a", text(self.next(), step.size) if step.ordinary == "set" else None)
        if step.delta in ("written", "snapshot"):
            await self.write(parent, "d", step.size)
            set_("d", _DeltaSnapshot([text(self.next(), step.size)]) if step.delta == "snapshot" else None)
        # Without any version the channel of an old format's `Send`s has a random one.
        old = step.format < 4 and bool(versions)
        if old:
            await self.write(parent, TASKS, step.size)
        updates, steps = earlier.counted.get("d", (0, 0))
        counted = {"idle": {"d": (updates, steps + 1)}, "written": {"d": (updates + 1, steps + 1)}}.get(step.delta, {})
        told: dict[str, Any] = {"parents": {"": root.checkpoint_id} if root else {}, "run_id": next(self.pair.run_ids)}
        told |= {"counters_since_delta_snapshot": counted} if counted else {}
        # LangGraph gives no snapshot twice: it is carried over by its version alone.
        given = {channel: value for channel, value in values.items() if channel != "d" or channel in new}
        body = checkpoint(given, versions, id=f"{self.next():08}", v=step.format if old else 4)
        where = self.at(parent) if parent else config("t", None, step.namespace)
        ref = ref_of(await self.pair.saver.aput(where, body, metadata(self.count, **told), new))
        self.made[ref] = State(versions, values, counted)
        self.pair.left["t"].add(ref)


def chained(*deltas: str, namespace: str = "", **more: Any) -> list[Any]:
    """A chain, each of whose checkpoints does this with the channel that is rebuilt from writes."""
    steps = [Put(0 if number else None, namespace, "set", 20, delta, 4) for number, delta in enumerate(deltas)]
    return [*steps[:-1], steps[-1]._replace(**more)]


@example(chained("snapshot", "written") + chained("written", "snapshot", namespace="memory")).via("a version that another namespace stores")
@example(chained("written", "idle") + chained("written", namespace="memory")).via("a value that another namespace still needs")
@example(chained("snapshot", "written", "unknown")).via("a newest checkpoint of a graph that does not know the channel")
@example([*chained("idle"), Do("next run", "", 0), *chained("idle", namespace="inner:1"), Do("prune", "older than the second run", 0)]).via(
    "a root's checkpoint that is older than its subgraph's"
)
@example([*chained("written", "written"), Write(0, "x", "a", 700), Do("copy", "", 0)]).via("a copy with writes")
@example(chained("idle", "idle", format=3)).via("a parent that holds what was sent")
@settings(slow, max_examples=15)
@given(st.lists(st.one_of(puts, puts, puts, writes, others), min_size=5, max_size=30))
def test_what_a_prune_of_a_history_by_hand_keeps_reads_as_if_nothing_had_been_pruned(url: str, history: list[Put | Write | Do]) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            hand = ByHand(await paired(stack, url))
            for step in history:
                await hand.do(step)
            await hand.pair.prune("keep_latest", "t")

    asyncio.run(run())


# --- of a real graph ---------------------------------------------------------------------------------------------------


class Move(NamedTuple):
    """One thing that is done with a thread, from its newest state or an older one."""

    what: str
    back: int
    way: str


async def _from(pair: Pair, back: int) -> RunnableConfig:
    """The root's newest checkpoint but so many, for the present run."""
    refs = sorted((ref for ref in pair.left["t"] if ref.checkpoint_ns == ""), reverse=True)
    named = {"checkpoint_id": refs[back % len(refs)].checkpoint_id} if back and refs else {}
    return {"configurable": {"thread_id": "t", "checkpoint_ns": "", "run_id": next(pair.run_ids), **named}}


async def ask(pair: Pair, move: Move) -> None:
    await pair.graph.ainvoke({"said": [text(move.back)]}, await _from(pair, move.back))


async def answer(pair: Pair, move: Move) -> None:
    where = await _from(pair, move.back)
    # A policy may keep checkpoints of the subgraph alone.
    if not any(ref.checkpoint_ns == "" for ref in pair.left["t"]):
        return
    asked = (await pair.graph.aget_state(where)).interrupts
    await pair.graph.ainvoke(Command(resume={each.id: f"answered in run {pair.run}" for each in asked}) if asked else None, where)


async def write_by_hand(pair: Pair, move: Move) -> None:
    await pair.graph.aupdate_state(await _from(pair, move.back), {"said": [text(100 + move.back)]}, as_node="beside")


async def pass_time(pair: Pair, _move: Move) -> None:
    pair.next_run()


async def prune(pair: Pair, move: Move) -> None:
    await pair.prune(move.way, "t")


#: What may leave checkpoints of a subgraph alone.
EXEMPT = ("keep_latest", "policy: the first run is exempt")
MOVES: dict[str, Callable[[Pair, Move], Awaitable[None]]] = {
    "ask": ask,
    "answer": answer,
    "write by hand": write_by_hand,
    "pass time": pass_time,
    "prune": prune,
}


@pytest.mark.parametrize("checkpointer", [None, True], ids=["inherited", "memory"])
@example(
    [Move("pass time", 0, ""), Move("write by hand", 0, ""), *(Move("prune", 0, way) for way in EXEMPT), Move("answer", 0, "")], 1
).via("an answer where only the subgraph has checkpoints")
@settings(slow, max_examples=6)
@given(
    st.lists(
        st.builds(Move, st.sampled_from([*MOVES, "answer"]), st.sampled_from((0, 0, 0, 1, 2, 5)), st.sampled_from(sorted(WAYS))),
        min_size=4,
        max_size=14,
    ),
    st.sampled_from((1, 3, 1000)),
)
def test_what_a_prune_of_a_graphs_history_keeps_reads_as_if_nothing_had_been_pruned(
    lasting_url: str, checkpointer: Any, history: list[Move], frequency: int
) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            pair = await paired(stack, lasting_url)
            pair.graph = speaking_within(frequency, checkpointer).compile(checkpointer=pair.saver)
            for move in [Move("ask", 0, ""), *history, Move("prune", 0, "keep_latest")]:
                known = pair.left["t"]
                await MOVES[move.what](pair, move)
                if move.what != "prune":
                    found = {ref_of(each.config) for each in await pair.saver.alist({"configurable": {"thread_id": "t"}})}
                    assert known <= found
                    pair.left["t"] = found

    asyncio.run(run())
