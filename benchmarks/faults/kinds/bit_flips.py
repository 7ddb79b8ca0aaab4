"""Bit flips: one bit of the SQLite file flips, and everything is read."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.contenders import OURS, AnySaver, Connect, Contender
from benchmarks.faults.check import compare
from benchmarks.faults.journal import Evidence
from benchmarks.faults.lab import HANGS, LONG_SECONDS, Lab, Trial
from benchmarks.faults.processes import Hung, in_bounded_process
from benchmarks.workload import thread
from ckptstore.errors import CkptStoreError

#: Read by one process.
_BATCH = 20
#: Steps of the file that is damaged.
_STEPS = 150


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is in a file."""
    return contender.in_a_file


@dataclass(frozen=True)
class Damage:
    """Flips bits of a file, and reads it.

    Args:
        connect: opens the saver.
        file: the database.
        pristine: a copy of it.
        evidence: what is in it.
        has_own_errors: whether the saver raises `CkptStoreError` alone; of another one every error is a refusal.
    """

    connect: Connect
    file: str
    pristine: str
    evidence: Evidence
    has_own_errors: bool

    def flip(self, bit: int) -> None:
        """Make the file anew, but for one bit."""
        for suffix in ("", "-wal", "-shm"):
            Path(self.file + suffix).unlink(missing_ok=True)
        shutil.copyfile(self.pristine, self.file)
        with open(self.file, "r+b") as opened:
            opened.seek(bit // 8)
            (byte,) = opened.read(1)
            opened.seek(bit // 8)
            opened.write(bytes([byte ^ 1 << bit % 8]))

    def outcomes(self, bits: Sequence[int]) -> Counter[str]:
        """How many of these bits, each flipped alone, made a read go wrong, lack something, or be refused."""
        found: Counter[str] = Counter()
        for bit in bits:
            self.flip(bit)
            found[asyncio.run(self._outcome())] += 1
        return found

    async def _outcome(self) -> str:
        try:
            async with self.connect(self.file) as saver:
                results = [
                    await self._read(saver, thread_id) for thread_id in sorted({step.thread_id for step in self.evidence.begun.values()})
                ]
        except Exception as exc:
            # Already opening it, which writes, is refused; or closing it.
            return self._refusal(exc)
        return next((each for each in ("wrong", "missing", "raw", "refused") if each in results), "right")

    async def _read(self, saver: AnySaver, thread_id: str) -> str:
        expected = self.evidence.of_thread(thread_id)
        try:
            lost, wrong = await compare(saver.alist(thread(thread_id)), expected)
        except Exception as exc:
            return self._refusal(exc)
        return "wrong" if wrong else "missing" if lost else "right"

    def _refusal(self, exc: Exception) -> str:
        if not self.has_own_errors or isinstance(exc, CkptStoreError):
            return "refused"
        traceback.print_exception(exc)
        return "raw"


def run(trial: Trial) -> None:
    """Lost, or wrong: after so many of the flips a read lacked something, or returned what nobody had put, without an error."""
    _fill(trial)
    with tempfile.TemporaryDirectory(prefix="ckptstore-faults-") as folder:
        pristine, is_ours = f"{folder}/pristine.sqlite", trial.contender.name in OURS
        damage = Damage(trial.contender.connect, trial.url, pristine, trial.journal.evidence, is_ours)
        shutil.copyfile(damage.file, damage.pristine)
        bits = _bits(trial, Path(damage.file).stat().st_size * 8)
        for start in range(0, len(bits), _BATCH):
            _read_damaged(trial, damage, bits[start : start + _BATCH])
            if trial.outcome.hung >= HANGS:
                break
        # What is checked at the end is the undamaged file.
        shutil.copyfile(damage.pristine, damage.file)


def _fill(trial: Trial) -> None:
    with trial.writer(tasks=3) as writer:
        trial.journal.wait_for_acks(_STEPS, writer.job.task_names, trial.bound_seconds)
        trial.outcome.hung += not writer.stop()
    with closing(sqlite3.connect(trial.url)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _bits(trial: Trial, total: int) -> list[int]:
    """Which bits flip: evenly spread over the file."""
    count = trial.lab.times(120, 20, smoke=10)
    return [total * number // count + trial.chance.randrange(max(total // count, 1)) for number in range(count)]


def _read_damaged(trial: Trial, damage: Damage, bits: Sequence[int]) -> None:
    outcome = trial.outcome
    try:
        found = in_bounded_process(partial(damage.outcomes, bits), LONG_SECONDS)
    except (Hung, RuntimeError):
        outcome.hung += 1
        return
    outcome.times += len(bits)
    outcome.misread += found
    trial.lab.progress(outcome)
