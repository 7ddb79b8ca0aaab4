"""Counters: copies stay as they are, differences are what was counted in between, and lists stay the same objects."""

from __future__ import annotations

from dataclasses import fields

from ckptstore.monitoring.counters import Counters


def filled(number: int) -> Counters:
    """Counters that all have the same number."""
    made = Counters()
    for field in fields(Counters):
        current = getattr(made, field.name)
        if isinstance(current, int):
            setattr(made, field.name, number)
        elif isinstance(current, list):
            current[3] = number
        else:
            current["DatabaseUnavailable"] = number
    return made


def values(counters: Counters) -> dict[str, object]:
    return {field.name: getattr(counters, field.name) for field in fields(Counters)}


def test_a_copy_stays_as_it_is() -> None:
    counters = filled(1)
    copy = counters.copy()
    counters.put[3] += 1
    counters.errors["StoreClosed"] += 1
    counters.writes += 1
    assert values(copy) == values(filled(1))


def test_what_was_counted_since_a_copy() -> None:
    assert values(filled(9).since(filled(2))) == values(filled(7))


def test_beginning_again_keeps_the_lists_that_others_add_to() -> None:
    counters = filled(3)
    put, errors = counters.put, counters.errors
    counters.reset()
    assert values(counters) == values(Counters())
    assert counters.put is put
    assert counters.errors is errors
