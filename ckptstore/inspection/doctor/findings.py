"""What the doctor says about one thing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from ckptstore.inspection.doctor.thresholds import Limits


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    CARE = "care"
    URGENT = "urgent"


#: From the least to the worst.
SEVERITIES = tuple(Severity)


class Finding(NamedTuple):
    """One finding."""

    name: str
    severity: Severity
    message: str
    #: The numbers that it goes by.
    evidence: Mapping[str, Any]
    #: What to run or to set; empty if there is nothing to do.
    command: str = ""


def severity_of(value: float | None, limits: Limits) -> Severity:
    """How bad a value is; one that is not known is none."""
    if value is None:
        return Severity.OK
    return SEVERITIES[sum(value >= limit for limit in limits)]


def worst(*severities: Severity) -> Severity:
    """The worst of some."""
    return max(severities, key=SEVERITIES.index, default=Severity.OK)
