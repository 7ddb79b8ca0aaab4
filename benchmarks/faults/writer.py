"""A process that writes until it is told to stop, and reports each checkpoint before it is put, and once it is acknowledged.

Every task fills threads of `THREAD_STEPS` checkpoints, each followed by a task's writes. A call that fails is counted, and the task goes
on with its next checkpoint, as a service does with its next request.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint

from benchmarks.contenders import AnySaver, Connect
from benchmarks.workload import sentence, thread

THREAD_STEPS = 40
#: Between a task's steps, so that a fault meets some calls and the files stay small; and after a call that failed.
PAUSE_SECONDS = 0.01
#: What callers wait for while they give up at once.
IMPATIENT_SECONDS = 0.01
# Every so many steps the text is large: the largest leaves the database, where a saver stores such values elsewhere.
_LARGE = {5: 1_500, 25: 15_000}
_WORDS = 30


@dataclass(frozen=True)
class Job:
    """What one process does.

    Args:
        connect: opens the saver.
        url: of the database.
        name: of the process: no other one of the trial has it.
        tasks: how many write at once.
        deadline_seconds: how long a caller waits for one call; None for as long as it takes.
    """

    connect: Connect
    url: str
    name: str
    tasks: int
    deadline_seconds: float | None = None

    @property
    def task_names(self) -> set[str]:
        """Of its tasks, as in its reports."""
        return {f"{self.name}-{number}" for number in range(self.tasks)}


def values_of(thread_id: str, number: int) -> dict[str, Any]:
    """The state of a checkpoint."""
    words = next((words for every, words in reversed(_LARGE.items()) if number % every == every - 1), _WORDS)
    return {"number": number, "text": sentence(f"{thread_id} {number}", words)}


def writes_of(thread_id: str, number: int) -> list[tuple[str, Any]]:
    """What a task wrote to it."""
    return [("number", number), ("text", sentence(f"{thread_id} {number} written", _WORDS))]


class Reporter:
    """Writes lines to the pipe, each in one call: signals and kills find it between two lines."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, kind: str, *words: object) -> None:
        os.write(self._pipe.fileno(), f"{kind} {' '.join(map(str, words))}\n".encode())


class Chain:
    """One task's threads of checkpoints."""

    def __init__(self, task: str) -> None:
        self.task = task
        self._steps = 0
        self._restart()

    def _restart(self) -> None:
        self.thread_id = f"{self.task}-{self._steps // THREAD_STEPS}"
        self.config: RunnableConfig = thread(self.thread_id)
        self._versions: dict[str, Any] = {}

    def next(self, saver: AnySaver) -> tuple[int, tuple[RunnableConfig, Checkpoint, CheckpointMetadata, dict[str, Any]]]:
        """The number of the next checkpoint, and the arguments of its put."""
        if self._steps % THREAD_STEPS == 0:
            self._restart()
        number, self._steps = self._steps, self._steps + 1
        values = values_of(self.thread_id, number)
        self._versions = {channel: saver.get_next_version(self._versions.get(channel), None) for channel in values}
        made = empty_checkpoint()
        made["channel_values"], made["channel_versions"] = values, dict(self._versions)
        return number, (self.config, made, cast(CheckpointMetadata, {"source": "loop", "step": number}), dict(self._versions))


class Writer:
    """The tasks of one process."""

    def __init__(self, job: Job, report: Reporter) -> None:
        self.job = job
        self.report = report
        self.stopping = False
        self.impatient = False

    def stop(self) -> None:
        """End every task after its step."""
        self.stopping = True

    def hurry(self) -> None:
        """Let callers give up almost at once, or no more."""
        self.impatient = not self.impatient

    async def run(self) -> None:
        """Write until told to stop."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGUSR1, self.hurry)
        async with self.job.connect(self.job.url) as saver:
            self.report("ready", time.monotonic())
            await asyncio.gather(*(self._task(saver, Chain(name)) for name in sorted(self.job.task_names)))
        self.report("closed", time.monotonic())

    async def _task(self, saver: AnySaver, chain: Chain) -> None:
        pause = random.Random(chain.task)  # noqa: S311  # so that tasks don't run in step
        while not self.stopping:
            try:
                await self._step(saver, chain)
            except Exception as exc:
                self.report("failed", type(exc).__name__)
            await asyncio.sleep(PAUSE_SECONDS * pause.uniform(0.5, 1.5))

    async def _step(self, saver: AnySaver, chain: Chain) -> None:
        number, arguments = chain.next(saver)
        checkpoint_id = arguments[1]["id"]
        self.report("begin", checkpoint_id, chain.thread_id, number)
        began = time.monotonic()
        async with asyncio.timeout(self._deadline):
            chain.config = await saver.aput(*arguments)
        self.report("put", checkpoint_id, chain.task, began, time.monotonic())
        async with asyncio.timeout(self._deadline):
            await saver.aput_writes(chain.config, writes_of(chain.thread_id, number), f"task-{number}")
        self.report("written", checkpoint_id)

    @property
    def _deadline(self) -> float | None:
        return IMPATIENT_SECONDS if self.impatient else self.job.deadline_seconds


def write(job: Job, pipe: Connection) -> None:
    """What the process runs."""
    with pipe:
        asyncio.run(Writer(job, Reporter(pipe)).run())


def prepare(connect: Connect, url: str) -> None:
    """Open a saver once, so that the tables are there."""

    async def open_once() -> None:
        async with connect(url):
            pass

    asyncio.run(open_once())


#: What a process of a fault's own runs: `write`, or something that takes the same job.
Work = Callable[[Job, Connection], None]
