"""Restarts: the server stops and starts again, in turns by a fast shutdown and by a crash."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from functools import partial

from benchmarks.contenders import Contender
from benchmarks.faults.lab import Lab, Trial, strike_often
from benchmarks.faults.processes import WriterProcess
from benchmarks.faults.server import Server


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is on a server that we may stop."""
    return not contender.in_a_file and lab.server is not None and lab.server.can_restart


def _restart(server: Server, modes: Iterator[str], _: WriterProcess) -> float:
    server.restart(next(modes))
    return time.monotonic()


def run(trial: Trial) -> None:
    """How soon: once the server takes connections again."""
    assert trial.lab.server
    strike_often(trial, partial(_restart, trial.lab.server, itertools.cycle(["fast", "immediate"])), trial.lab.times(6, 1))
