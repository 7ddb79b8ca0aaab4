"""Each module makes one fault; the first line of its docstring is its title."""

from collections.abc import Sequence

from benchmarks.faults.kinds import (
    bit_flips,
    full_disk,
    giving_up,
    impatient_silence,
    interrupts,
    kills,
    resets,
    restarts,
    silence,
    terminations,
)
from benchmarks.faults.lab import Fault

FAULTS: Sequence[Fault] = (
    kills,
    interrupts,
    giving_up,
    full_disk,
    bit_flips,
    terminations,
    restarts,
    resets,
    silence,
    impatient_silence,
)
