"""Interrupts: KeyboardInterrupt at random moments of synchronous puts (`signal.setitimer`)."""

from __future__ import annotations

import importlib
import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import FrameType

from benchmarks.contenders import ASYNC_POSTGRES, ASYNC_SQLITE, CKPTSTORE_POSTGRES, CKPTSTORE_SQLITE, AnySaver, Contender
from benchmarks.faults.lab import HANGS, Lab, Trial
from benchmarks.faults.writer import PAUSE_SECONDS, Chain, Job, Reporter
from ckptstore import SQLAlchemySaver

#: A put takes about so long; an interrupt comes within it, or a little later.
_PUT_SECONDS = 0.004


def _sqlite(url: str) -> AbstractContextManager[AnySaver]:
    opened: AbstractContextManager[AnySaver] = importlib.import_module("langgraph.checkpoint.sqlite").SqliteSaver.from_conn_string(url)
    return opened


@contextmanager
def _postgres(url: str) -> Iterator[AnySaver]:
    official = importlib.import_module("langgraph.checkpoint.postgres")
    pool = importlib.import_module("psycopg_pool")
    rows = importlib.import_module("psycopg.rows")
    settings = {"autocommit": True, "prepare_threshold": 0, "row_factory": rows.dict_row}
    with pool.ConnectionPool(url, min_size=10, max_size=10, kwargs=settings) as connections:
        yield official.PostgresSaver(connections)


#: The asynchronous savers' synchronous classes: theirs have no put that a main thread could wait for.
_OPEN: Mapping[str, Callable[[str], AbstractContextManager[AnySaver]]] = {
    ASYNC_SQLITE: _sqlite,
    ASYNC_POSTGRES: _postgres,
    CKPTSTORE_SQLITE: SQLAlchemySaver.from_conn_string,
    CKPTSTORE_POSTGRES: SQLAlchemySaver.from_conn_string,
}


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who has a synchronous class."""
    return contender.name in _OPEN


@dataclass
class Alarm:
    """Interrupts what runs while it is armed, once."""

    armed: bool = False
    rang: float = 0.0

    def ring(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGALRM as Python handles SIGINT."""
        if self.armed:
            self.armed = False
            self.rang = time.monotonic()
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Interrupted:
    """What the process runs.

    Args:
        contender: whose saver.
        seed: of the moments.
        times: how many interrupts.
    """

    contender: str
    seed: str
    times: int

    def __call__(self, job: Job, pipe: Connection) -> None:
        """Interrupt a put, put again, and go on so; report each time, and the end."""
        alarm = Alarm()
        signal.signal(signal.SIGALRM, alarm.ring)
        chance = random.Random(self.seed)  # noqa: S311
        with pipe:
            report = Reporter(pipe)
            with _OPEN[self.contender](job.url) as saver:
                puts = Puts(saver, Chain(job.name), report, alarm)
                for _ in range(self.times):
                    while not puts.was_interrupted(chance.uniform(0, _PUT_SECONDS)):
                        pass
                    puts.put_at_last()
                    report("struck", time.monotonic() - alarm.rang)
            report("closed", time.monotonic())


@dataclass(frozen=True)
class Puts:
    """Synchronous puts of one chain."""

    saver: AnySaver
    chain: Chain
    report: Reporter
    alarm: Alarm

    def put_at_last(self) -> None:
        """Put until it succeeds, and report what fails before."""
        while True:
            try:
                self._put(armed=False)
                return
            except Exception as exc:
                self.report("failed", type(exc).__name__)
                time.sleep(PAUSE_SECONDS)

    def was_interrupted(self, after_seconds: float) -> bool:
        """Put once, and be interrupted so soon; False where the put had ended by then, or failed."""
        signal.setitimer(signal.ITIMER_REAL, max(after_seconds, 1e-6))
        try:
            self._put(armed=True)
        except KeyboardInterrupt:
            return True
        except Exception as exc:
            self.report("failed", type(exc).__name__)
            time.sleep(PAUSE_SECONDS)
        return False

    def _put(self, *, armed: bool) -> None:
        number, arguments = self.chain.next(self.saver)
        checkpoint_id = arguments[1]["id"]
        self.report("begin", checkpoint_id, self.chain.thread_id, number)
        began = time.monotonic()
        self.alarm.armed = armed
        self.chain.config = self.saver.put(*arguments)
        self.alarm.armed = False
        self.report("put", checkpoint_id, self.chain.task, began, time.monotonic())


def run(trial: Trial) -> None:
    """How soon: until the put after the interrupt is acknowledged."""
    times, outcome = trial.lab.times(300, 40, smoke=10), trial.outcome
    while outcome.times < times and outcome.hung < HANGS:
        work = Interrupted(outcome.contender, f"{trial.lab.seed} {outcome.times}", times - outcome.times)
        with trial.writer(tasks=1, work=work):
            outcome.hung += not _ended(trial)


def _ended(trial: Trial) -> bool:
    """Take in each interrupt that a process reports; returns whether it came to its end without a hang."""
    marks, seen = trial.journal.marks, len(trial.journal.marks)
    while trial.journal.wait_for_mark(seen, trial.bound_seconds):
        kind, seconds = marks[seen]
        seen += 1
        if kind == "closed":
            return True
        trial.outcome.went_on([seconds], 1)
        trial.lab.progress(trial.outcome)
    return False
