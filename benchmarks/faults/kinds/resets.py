"""Reset connections: all of them at once, by TCP."""

from __future__ import annotations

import time

from benchmarks.contenders import Contender
from benchmarks.faults.faulty_link import faulty_link
from benchmarks.faults.lab import Lab, Trial, strike_often
from benchmarks.faults.processes import WriterProcess


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is on a server."""
    return not contender.in_a_file


def run(trial: Trial) -> None:
    """How soon: from the last reset on."""
    with faulty_link(trial.url) as link:

        def reset(_: WriterProcess) -> float:
            link.reset()
            return time.monotonic()

        strike_often(trial, reset, trial.lab.times(30, 5), link.url)
