"""Kills: SIGKILL of a process in the middle of puts, beside another one on the same database."""

from __future__ import annotations

import time

from benchmarks.contenders import Contender
from benchmarks.faults.lab import HANGS, Lab, Trial


def concerns(lab: Lab, contender: Contender) -> bool:
    """Everyone."""
    return True


def run(trial: Trial) -> None:
    """The survivor's next put tells how soon; whatever the killed ones had reported has to be there."""
    with trial.writer(tasks=3) as survivor:
        for _ in range(trial.lab.times(30, 5)):
            with trial.writer() as victim:
                trial.is_writing(victim)
                victim.kill()
            went_on = trial.went_on(survivor, time.monotonic())
            if trial.outcome.hung >= HANGS or not went_on:
                break
        trial.outcome.hung += not survivor.stop()
