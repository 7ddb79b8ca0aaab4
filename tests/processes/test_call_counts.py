"""A put and a get make no more Python calls than they did: everyone pays for these, and they grow unnoticed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts" / "count_calls.py"

#: The most calls of ckptstore's own functions that one operation may make: small values, on SQLite, everything warm.
MOST_CALLS = {"aput": 150, "aput_writes": 124, "aget_tuple": 50}


def test_operations_make_few_calls() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--verbose"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    calls = {name: int(count) for name, count in re.findall(r"^(\w+): (\d+) calls", done.stdout, re.MULTILINE)}
    assert calls.keys() == MOST_CALLS.keys()
    assert [name for name, count in calls.items() if count > MOST_CALLS[name]] == [], done.stdout
