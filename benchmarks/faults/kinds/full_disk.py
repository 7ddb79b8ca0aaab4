"""Full disk: the file can grow no more for a while, as on a full disk (RLIMIT_FSIZE of its process)."""

from __future__ import annotations

import resource
import sys
import time

from benchmarks.contenders import Contender
from benchmarks.faults.lab import Lab, Trial, strike_often
from benchmarks.faults.processes import WriterProcess


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who writes the file itself; only Linux can limit another process."""
    return contender.in_a_file and sys.platform == "linux"


def run(trial: Trial) -> None:
    """How soon: from when it may grow again."""

    def fill(writer: WriterProcess) -> float:
        unlimited = resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (1, unlimited[1]))
        time.sleep(trial.chance.uniform(0.2, 1.0))
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, unlimited)
        return time.monotonic()

    strike_often(trial, fill, trial.lab.times(12, 2))
