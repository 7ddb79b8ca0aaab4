"""A table of tagged checkpoints, the same for every saver.

Threads of 10 checkpoints, 500 of them at a time: what was written at one moment lies far apart. Three small channels, of which
one changes a step; the newest checkpoint of each thread has a pending write.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.checkpoint.base.id import UUID

from benchmarks.contenders import AnySaver
from benchmarks.workload import sentence, thread

STEPS = 10
TENANTS = 10
CHECKPOINTS_PER_USER = 100
#: Threads of the user that is asked for, however large the table is.
THREADS_OF_BUSY_USER = 100
#: So many in a row are of as many threads.
BATCH = 500
#: In microseconds.
SECOND = 1_000_000

TENANT, KIND, USER, RARE = "tenant-3", "chat", "user-0", "escalated"

_CHANNELS = ("question", "answer", "facts")
_TICKS_BEFORE_1970 = 122_192_928_000_000_000


class Entry(NamedTuple):
    """A checkpoint on its way in, and the writes that wait for it."""

    config: RunnableConfig
    checkpoint: Checkpoint
    metadata: dict[str, Any]
    new_versions: dict[str, Any]
    created_at: int
    writes: Sequence[tuple[str, Any]]

    @property
    def stored_as(self) -> RunnableConfig:
        """The config that names the checkpoint."""
        named = {**self.config["configurable"], "checkpoint_id": self.checkpoint["id"]}
        return {"configurable": named}


@dataclass
class _Thread:
    number: int
    config: RunnableConfig
    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """So many checkpoints; a second of the clock passes from one to the next, and the last one is of now.

    Args:
        size: how many; a multiple of 10.
    """

    size: int

    @property
    def threads(self) -> int:
        """How many threads they are in."""
        return self.size // STEPS

    @cached_property
    def started_at(self) -> int:
        """The moment of the first checkpoint, in microseconds since 1970."""
        return time.time_ns() // 1_000 - self.size * SECOND

    @cached_property
    def counts(self) -> Counter[str]:
        """How many checkpoints match what is asked for, counted one by one."""
        counts: Counter[str] = Counter()
        for place, _, _, metadata in self._all_metadata():
            common = metadata["tenant"] == TENANT
            counts["tenant"] += common
            counts["tenant, first half"] += common and place < self.size // 2
            counts["tenant and kind"] += common and metadata["kind"] == KIND
            counts["rare and kind"] += metadata.get("flag") == RARE and metadata["kind"] == KIND
            counts["tenant, late step"] += common and metadata["step"] >= STEPS - 2
            counts["threads of user"] += metadata["user"] == USER and metadata["step"] == 0
            counts["threads of tenant"] += common and metadata["step"] == 0
        return counts

    def entries(self, saver: AnySaver) -> Iterator[Entry]:
        """Every checkpoint in the order of time. Of `BATCH` in a row, no two are of one thread."""
        threads: dict[int, _Thread] = {}
        for place, number, step, metadata in self._all_metadata():
            if step == 0:
                threads[number] = _Thread(number, thread(thread_id(number)))
            current = threads[number] if step < STEPS - 1 else threads.pop(number)
            yield self._entry(saver, current, place, metadata)

    def _entry(self, saver: AnySaver, of: _Thread, place: int, metadata: dict[str, Any]) -> Entry:
        step: int = metadata["step"]
        changed = _CHANNELS if step == 0 else (_CHANNELS[step % len(_CHANNELS)],)
        of.values |= {channel: sentence(f"{of.number} {step} {channel}", 8).split() for channel in changed}
        new = {channel: saver.get_next_version(of.versions.get(channel), None) for channel in changed}
        of.versions |= new
        made = empty_checkpoint()
        created_at = self.started_at + place * SECOND
        made.update({"v": 4, "id": id_at(created_at), "channel_values": dict(of.values), "channel_versions": dict(of.versions)})
        made["versions_seen"] = {"__input__": {}, "agent": dict(new)}
        writes = [("answer", ["Nearly", "there"])] if step == STEPS - 1 else []
        entry = Entry(of.config, made, metadata, new, created_at, writes)
        of.config = entry.stored_as
        return entry

    def _all_metadata(self) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        """Place in time, thread, step and metadata of each checkpoint."""
        chance = random.Random(self.size)  # noqa: S311 - the same tags for every saver
        tenants = [chance.randrange(TENANTS) for _ in range(self.threads)]
        # Twenty at least: half of them are of the kind that is asked for.
        between_rare = max(1, min(10_000, self.size // 20))
        between_busy = max(1, self.threads // THREADS_OF_BUSY_USER)
        users = max(2, self.size // CHECKPOINTS_PER_USER)
        place = 0
        for first in range(0, self.threads, BATCH):
            for step in range(STEPS):
                for number in range(first, min(first + BATCH, self.threads)):
                    rare, nth = place % between_rare == 0, place // between_rare
                    user = 0 if number % between_busy == 0 and number // between_busy < THREADS_OF_BUSY_USER else 1 + number % (users - 1)
                    metadata: dict[str, Any] = {
                        "source": "loop" if step else "input",
                        "step": step,
                        "parents": {},
                        "tenant": f"tenant-{tenants[number]}",
                        "kind": (KIND, "report")[nth % 2 if rare else chance.randrange(2)],
                        "user": f"user-{user}",
                    }
                    yield place, number, step, metadata | ({"flag": RARE} if rare else {})
                    place += 1


def id_at(created_at: int) -> str:
    """An id as LangGraph makes them at a moment (microseconds since 1970)."""
    ticks = created_at * 10 + _TICKS_BEFORE_1970
    return str(UUID(int=ticks >> 12 << 80 | (ticks & 0xFFF) << 64 | random.getrandbits(62), version=6))


def thread_id(number: int) -> str:
    """A name that says nothing of when its thread began, as those of real ones don't."""
    return f"{random.Random(number).getrandbits(96):024x}"  # noqa: S311
