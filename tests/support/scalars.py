"""Scalars of every kind that metadata and filters may hold, and what is stored of them."""

from __future__ import annotations

import math
import sys
from enum import Enum, IntEnum, StrEnum
from typing import Any

from hypothesis import strategies as st


class Stage(str, Enum):  # noqa: UP042  # as code that is older than StrEnum has it
    DRAFT = "draft"
    FINAL = "a"


class Colour(StrEnum):
    RED = "red"
    A = "a"


class Level(IntEnum):
    NONE = 0
    LOW = 1
    HIGH = 2**53


class Name(str):
    """A subclass that shows itself as something else."""

    def __str__(self) -> str:
        return "shown"

    def __format__(self, _: str) -> str:
        return "formatted"


class Count(int):
    def __str__(self) -> str:
        return "many"


class Share(float):
    def __repr__(self) -> str:
        return "part"


TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "b", "draft", "red", "1", "True", "null", "a.b", "a/b", "~2", "'", "$a", "#", "\x01", "é", "e\u0301", "🙂", "\U0010ffff"]
    ),
    st.sampled_from(["a\0", "\0", "a\ud800", "\udfffa", "\ud83d\ude42"]),
    st.builds(
        lambda unit, length, end: unit * length + end,
        st.sampled_from(["x", "é", "🙂"]),
        st.integers(198, 202),
        st.sampled_from(["", "y", "z"]),
    ),
    st.sampled_from([*Stage, *Colour, Name("a"), Name("")]),
    st.text(max_size=4),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**63, 2**64, -(2**64) - 1, 10**40, 2**1023 + 1, -(2**1024) + 1]),
    st.sampled_from([0.0, -0.0, 1.0, 0.1, 1.5, 2.0**53, 1e308, -1e308, sys.float_info.min, 5e-324, 1e16]),
    st.sampled_from([*Level, Count(1), Count(2**64), Share(0.1), Share(1.0)]),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
#: What metadata may hold and a filter may not ask for: it is stored as null.
NO_NUMBERS = st.sampled_from([math.nan, math.inf, -math.inf])


def plain(value: Any) -> Any:
    """What is stored of a value: a naive copy of the rule."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return "".join(value).replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value + 0
    return value + 0.0 if math.isfinite(value) else None
