"""Silent connections, impatient callers: these give up after 5 s and go on with their next put."""

from __future__ import annotations

from benchmarks.contenders import Contender
from benchmarks.faults.kinds import silence
from benchmarks.faults.lab import Lab, Size, Trial

DEADLINE_SECONDS = 5.0
#: A pool of ten connections is through with them one after the other.
LONG_BOUND_SECONDS = 90.0


def concerns(lab: Lab, contender: Contender) -> bool:
    """Who is on a server."""
    return silence.concerns(lab, contender)


def run(trial: Trial) -> None:
    """How soon: from the silence on, which is never told."""
    if trial.lab.size is Size.NORMAL:
        trial.bound_seconds = max(trial.bound_seconds, LONG_BOUND_SECONDS)
    silence.fall_silent(trial, trial.lab.times(2, 1, smoke=1), DEADLINE_SECONDS)
