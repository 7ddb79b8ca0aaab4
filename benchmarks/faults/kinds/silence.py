"""Silent connections: what they carry is swallowed, as behind a firewall that lost its state; new ones work."""

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
    """How soon: from the silence on, which is never told."""
    fall_silent(trial, trial.lab.times(3, 1, smoke=1))


def fall_silent(trial: Trial, times: int, deadline_seconds: float | None = None) -> None:
    """Silence all connections so often, with callers that wait for so long."""
    with faulty_link(trial.url) as link:

        def silence(_: WriterProcess) -> float:
            moment = time.monotonic()
            link.silence()
            return moment

        strike_often(trial, silence, times, link.url, deadline_seconds)
