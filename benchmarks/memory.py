"""How much memory this process takes, in bytes: from /proc where there is one, else the most it ever took, which `resource` knows."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_PROCESS = Path("/proc/self")


def rss() -> int:
    """What is resident now."""
    try:
        pages = int((_PROCESS / "statm").read_text().split()[1])
    except OSError:
        return _ever()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_rss() -> int:
    """The most that was resident since the process began, or since `restart_peak`."""
    # Not from `resource` where it can be helped: a process begins with its parent's peak there.
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return _ever()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kilobytes) * 1024


def restart_peak() -> None:
    """Forget the peak so far; where the system can't, it goes on."""
    if _PROCESS.exists():
        (_PROCESS / "clear_refs").write_text("5")


def _ever() -> int:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
