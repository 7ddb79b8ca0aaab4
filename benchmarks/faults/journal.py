"""What a writing process reports, a line each, and what is asked of all these lines.

A pipe takes each line whole, and keeps it when its writer is killed. All moments are of the machine's monotonic clock, in seconds.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Set, Sized
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple


class Step(NamedTuple):
    """The text and the writes of a checkpoint follow from these."""

    thread_id: str
    number: int


class Ack(NamedTuple):
    """A saver said that it has a checkpoint."""

    task: str
    began: float
    at: float


@dataclass
class Evidence:
    """What has to be found in a database, and what may be.

    Args:
        begun: every checkpoint of which a put was begun, by its id.
        put: ids of those that were acknowledged.
        written: ids of those to which a task's writes were acknowledged.
    """

    begun: dict[str, Step] = field(default_factory=dict)
    put: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)

    @property
    def acknowledged(self) -> int:
        """Puts and writes together."""
        return len(self.put) + len(self.written)

    def of_thread(self, thread_id: str) -> Evidence:
        """That of one thread alone."""
        begun = {checkpoint_id: step for checkpoint_id, step in self.begun.items() if step.thread_id == thread_id}
        return Evidence(begun, self.put & begun.keys(), self.written & begun.keys())


class Journal:
    """The reports of all writers of one trial.

    Attributes:
        evidence: what they put.
        errors: how many calls failed, by the class of the error.
        acks: the checkpoints that were acknowledged, in the order of their reports.
        marks: moments that were reported by name.
    """

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.errors: Counter[str] = Counter()
        self.acks: list[Ack] = []
        self._acks_by_task: Counter[str] = Counter()
        self.marks: list[tuple[str, float]] = []
        self.changed = threading.Condition()

    def read(self, pipe: Connection) -> None:
        """Take in a writer's lines until it is gone."""
        with pipe, open(pipe.fileno(), encoding="utf-8", closefd=False) as lines:
            for line in lines:
                with self.changed:
                    self._take(*line.split())
                    self.changed.notify_all()

    def _take(self, kind: str, *words: str) -> None:
        if kind == "begin":
            checkpoint_id, thread_id, number = words
            self.evidence.begun[checkpoint_id] = Step(thread_id, int(number))
        elif kind == "put":
            checkpoint_id, task, began, at = words
            self.evidence.put.add(checkpoint_id)
            self.acks.append(Ack(task, float(began), float(at)))
            self._acks_by_task[task] += 1
        elif kind == "written":
            self.evidence.written.add(words[0])
        elif kind == "failed":
            self.errors[words[0]] += 1
        else:
            self.marks.append((kind, float(words[0])))

    def wait(self, holds: Callable[[], object], seconds: float) -> bool:
        """Wait until something holds, for so long at most; returns whether it does."""
        with self.changed:
            return bool(self.changed.wait_for(holds, seconds))

    def wait_for_acks(self, count: int, tasks: Set[str], seconds: float) -> bool:
        """Wait for so many more acknowledged checkpoints of these tasks; returns whether they came."""
        wanted = self._acked(tasks) + count
        return self.wait(lambda: self._acked(tasks) >= wanted, seconds)

    def _acked(self, tasks: Set[str]) -> int:
        return sum(self._acks_by_task[task] for task in tasks)

    def wait_for_mark(self, seen: int, seconds: float) -> bool:
        """Wait until more than so many moments were reported; returns whether they were."""
        return self.wait(lambda: len(self.marks) > seen, seconds)

    def went_on(self, moment: float, tasks: Set[str], seconds: float) -> list[float]:
        """How long after a moment each of these tasks had a checkpoint acknowledged that it began to put after that moment.

        Returns:
            Seconds, the shortest first; fewer than there are tasks if some had none within the seconds allowed.
        """
        soonest: dict[str, float] = {}
        seen = 0
        deadline = time.monotonic() + seconds
        while soonest.keys() < tasks and self.wait(partial(_longer, self.acks, seen), deadline - time.monotonic()):
            for ack in self.acks[seen:]:
                seen += 1
                if ack.began >= moment and ack.task in tasks:
                    soonest.setdefault(ack.task, ack.at - moment)
        return sorted(soonest.values())


def _longer(acks: Sized, seen: int) -> bool:
    return len(acks) > seen
