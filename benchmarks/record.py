"""What a section found, as JSON that reads well in a diff."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import Table, rounded

# To the last @: a password may hold one.
_PASSWORD = re.compile(r"(://[^:/@]*:).*(?=@)|(password=)[^&]*")


def as_typed(arguments: Sequence[str]) -> str:
    """The command line; results are published, so a password in it is not."""
    hidden = [_PASSWORD.sub(r"\1\2***", argument) for argument in arguments]
    return shlex.join(["python", "-m", "benchmarks", *hidden])


def write_record(path: Path, about: Mapping[str, Any], tables: Sequence[Table], seconds: float, peak_rss_mb: float | None) -> None:
    """Write the results of one section.

    Args:
        path: the file; its folder is made.
        about: the run: how it was called, and on what.
        tables: what was found.
        seconds: how long the section took.
        peak_rss_mb: the most memory of the whole run so far; None for unknown.
    """
    record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "seconds": rounded(seconds),
        "peak_rss_mb_so_far": peak_rss_mb and rounded(peak_rss_mb),
        "tables": [table.to_dict() for table in tables],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
