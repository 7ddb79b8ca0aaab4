"""The numbers in the documentation are those of the code."""

from __future__ import annotations

import math
import re
from pathlib import Path

from ckptstore.inspection.doctor import thresholds
from ckptstore.inspection.doctor.thresholds import GB, MB, Limits

PAGE = Path(__file__).parents[4] / "docs" / "doctor.md"
ROW = re.compile(r"^\| `([A-Z0-9_]+)`(.*?) \| ([\d.-]+) \| ([\d.-]+) \| ([\d.-]+) \|", re.MULTILINE)


def documented() -> dict[str, Limits]:
    found: dict[str, Limits] = {}
    for name, text, *numbers in ROW.findall(PAGE.read_text()):
        unit = GB if ": GB" in text else MB if ": MB" in text else 1
        found[name] = Limits(*[math.inf if number == "-" else float(number) * unit for number in numbers])
    return found


def test_every_threshold_is_documented_as_it_is() -> None:
    in_code = {name: value for name, value in vars(thresholds).items() if isinstance(value, Limits)}
    assert documented() == in_code


def test_they_rise() -> None:
    assert all(list(limits) == sorted(limits) for limits in documented().values())


def test_the_least_that_says_something_is_documented() -> None:
    text = PAGE.read_text()
    assert f"fewer than {thresholds.LEAST_ROWS:,} rows" in text
    assert f"less than {thresholds.LEAST_FREE_BYTES // MB} MB" in text
    assert f"fewer than {thresholds.LEAST_SEARCH_DAYS} days" in text
