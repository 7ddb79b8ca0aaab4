"""Which ids belong to a time: what bounds a search by the time of creation to a part of an index that is in the order of the ids.

LangGraph's ids are UUIDs of version 6, whose first eight hexadecimal digits count units of 26.8 s since 1582. A checkpoint is on time if
the id, as a text, begins within the unit of its `created_at` or the one before: ids are made just before checkpoints are stored. The
others (ids of a caller's own, wrong clocks, checkpoints that were put again later) are in the partial index `ckpt_checkpoint_off_time`.
"""

from __future__ import annotations

from collections.abc import Mapping

# From the first day of the UUIDs' calendar to 1970, in microseconds.
_BEFORE_1970 = 12_219_292_800_000_000
# The number of the unit has 32 bits only for times from 1582 to 5236. Earlier and later ones count as these: so the order is kept.
_EARLIEST, _LATEST = 0, 100_000_000_000_000_000
# A unit has 2**28 ticks of 100 ns.
_TICKS, _BITS = 10, 28

_CLAMPED = {
    "sqlite": f"min(max(created_at, {_EARLIEST}), {_LATEST})",
    "postgresql": f"least(greatest(created_at, {_EARLIEST}), {_LATEST})",
}
_DIGITS = {"sqlite": "printf('%08x', {})", "postgresql": "lpad(to_hex({}), 8, '0')"}


def _off_time(database: str) -> str:
    unit = f"(({_CLAMPED[database]} + {_BEFORE_1970}) * {_TICKS} >> {_BITS})"
    first, end = (_DIGITS[database].format(f"{unit} {step}") for step in ("- 1", "+ 1"))
    return f"checkpoint_id < {first} OR checkpoint_id >= {end}"


#: For each dialect the condition of the partial index, on rows of `ckpt_checkpoint`: the id does not belong to the time of creation.
OFF_TIME: Mapping[str, str] = {database: _off_time(database) for database in _DIGITS}


def first_id(created_after: int) -> str:
    """No checkpoint that is on time, and was created at this time (microseconds since 1970, UTC) or later, has a smaller id."""
    return f"{_unit(created_after) - 1:08x}"


def end_of_ids(created_before: int) -> str:
    """Every checkpoint that is on time, and was created before this time, has a smaller id."""
    return f"{_unit(created_before) + 1:08x}"


def _unit(time: int) -> int:
    return (min(max(time, _EARLIEST), _LATEST) + _BEFORE_1970) * _TICKS >> _BITS
