"""A run, and a trial in it: one contender under one fault, on a fresh database, checked at its end."""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from benchmarks.contenders import Contender
from benchmarks.faults.check import check, is_sound
from benchmarks.faults.journal import Journal
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.processes import Hung, WriterProcess, in_bounded_process
from benchmarks.faults.server import Server
from benchmarks.faults.writer import Job, Work, prepare, write

#: How many tasks of a process write at once.
TASKS = 10
#: After so many hangs a contender is spared the rest of a fault.
HANGS = 2
#: At most so many checkpoints are acknowledged before a fault: where a put meets it is chance.
ACKS_BEFORE = 60
#: For opening a saver, and for reading a database back.
LONG_SECONDS = 120


class Size(enum.Enum):
    """How often everything is done."""

    #: Once or twice, to see that it works.
    SMOKE = 0
    #: About a minute.
    QUICK = 1
    #: At most ten minutes.
    NORMAL = 2


@dataclass(frozen=True)
class Lab:
    """One run.

    Args:
        size: how often faults are made.
        seed: which moments and places they meet.
        bound_seconds: who does not go on for so long hangs.
        server: where the PostgreSQL databases are; None for none.
        progress: is called with a contender under a fault, after each time.
    """

    size: Size
    seed: int
    bound_seconds: float
    server: Server | None = None
    progress: Callable[[Outcome], None] = lambda _outcome: None

    def times(self, normal: int, quick: int, smoke: int = 2) -> int:
        """How often."""
        return (smoke, quick, normal)[self.size.value]

    def chance(self, fault: str) -> random.Random:
        """The same moments and places for each contender."""
        return random.Random(f"{self.seed} {fault}")  # noqa: S311


class Fault(Protocol):
    """A module of `benchmarks.faults.kinds`: the first line of its docstring is its title."""

    __name__: str
    __doc__: str | None

    def concerns(self, lab: Lab, contender: Contender) -> bool:
        """Whether this contender can meet it in this run."""
        ...

    def run(self, trial: Trial) -> None:
        """Make it as often as the lab says; no writer is left at the end."""
        ...


class Trial:
    """One contender under one fault.

    Args:
        lab: the run.
        contender: the saver.
        url: of its fresh database.
        title: of the fault.

    Attributes:
        bound_seconds: the lab's, unless the fault allows more.
    """

    def __init__(self, lab: Lab, contender: Contender, url: str, title: str) -> None:
        self.lab = lab
        self.bound_seconds = lab.bound_seconds
        self.contender = contender
        self.url = url
        self.outcome = Outcome(title, contender.name)
        self.journal = Journal()
        self.chance = lab.chance(title)
        self._started = 0

    def writer(
        self, url: str | None = None, *, tasks: int = TASKS, deadline_seconds: float | None = None, work: Work = write
    ) -> WriterProcess:
        """Start a process that writes; `url` leads to the same database."""
        self._started += 1
        job = Job(self.contender.connect, url or self.url, f"p{self._started}", tasks, deadline_seconds)
        return WriterProcess(job, self.journal, self.bound_seconds, work)

    def is_writing(self, writer: WriterProcess, most: int = ACKS_BEFORE) -> bool:
        """Wait until a process has written for a while, so that the next moment is a random one; whether it did not hang."""
        writes = self.journal.wait_for_acks(self.chance.randint(1, most), writer.job.task_names, self.bound_seconds)
        self.outcome.hung += not writes
        return writes

    def went_on(self, writer: WriterProcess, moment: float) -> bool:
        """Record how soon after a moment a process went on; returns whether all of its tasks did."""
        seconds = self.journal.went_on(moment, writer.job.task_names, self.bound_seconds)
        all_did = self.outcome.went_on(seconds, writer.job.tasks)
        self.lab.progress(self.outcome)
        return all_did

    def check(self) -> None:
        """Read everything back through a fresh saver, once all writers are gone."""
        outcome, evidence = self.outcome, self.journal.evidence
        outcome.failed += self.journal.errors
        outcome.acknowledged = evidence.acknowledged
        try:
            verdict = in_bounded_process(partial(check, self.contender.connect, self.url, evidence), LONG_SECONDS)
        except (Hung, RuntimeError) as exc:
            outcome.failed[f"not readable: {exc}"] += 1
            outcome.lost = evidence.acknowledged
        else:
            outcome.lost, outcome.wrong = verdict
        outcome.unsound = self.contender.in_a_file and not is_sound(self.url)


@contextmanager
def trial(lab: Lab, contender: Contender, title: str) -> Iterator[Trial]:
    """A trial on a fresh database with its tables; it is checked when the block ends, whose writers are gone by then."""
    with fresh_database(contender) as url:
        in_bounded_process(partial(prepare, contender.connect, url), LONG_SECONDS)
        made = Trial(lab, contender, url, title)
        yield made
        made.check()


@contextmanager
def fresh_database(contender: Contender) -> Iterator[str]:
    """The URL of an empty database, removed at the end."""
    with asyncio.Runner() as runner:
        database = AsyncExitStack()
        url = runner.run(database.enter_async_context(contender.fresh_database()))
        try:
            yield url
        finally:
            runner.run(database.aclose())


def strike_often(
    trial: Trial, strike: Callable[[WriterProcess], float], times: int, url: str | None = None, deadline_seconds: float | None = None
) -> None:
    """Let a process write, and make a fault again and again at random moments; a process that hangs is replaced.

    Args:
        trial: whose outcome it goes into.
        strike: makes the fault once, and returns the moment from which on writes can go on.
        times: how often.
        url: how the process reaches the database; None for the trial's own.
        deadline_seconds: how long callers wait for one call.
    """
    writer: WriterProcess | None = None
    for _ in range(times):
        writer = writer or trial.writer(url, deadline_seconds=deadline_seconds)
        if not (trial.is_writing(writer) and trial.went_on(writer, strike(writer))):
            writer.kill()
            writer = None
        if trial.outcome.hung >= HANGS:
            break
    if writer and not writer.stop():
        trial.outcome.hung += 1
