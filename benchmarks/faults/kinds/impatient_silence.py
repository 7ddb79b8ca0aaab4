"""Silent connections, impatient callers: these give up after 5 s and go on with their next put."""

from __future__ import annotations

from benchmarks.contenders import Contender
from benchmarks.faults.kinds import silence
from benchmarks.faults.lab import Lab, Trial

DEADLINE_SECONDS = 5.0


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is on a server."""
    return silence.concerns(lab, contender)


def run(trial: Trial) -> None:
    """How soon: from the silence on, which is never told."""
    silence.run(trial, DEADLINE_SECONDS)
