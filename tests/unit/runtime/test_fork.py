"""Hooks around a fork."""

from __future__ import annotations

import gc
import os
import weakref
from collections.abc import Callable

import pytest

from ckptstore.runtime.fork import around_fork, in_child


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> None:
        self.calls += 1


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Callable[[], None]]]:
    hooks: list[dict[str, Callable[[], None]]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda **given: hooks.append(given))
    return hooks


def test_a_method_is_called_as_long_as_its_object_lives(registered: list[dict[str, Callable[[], None]]]) -> None:
    counter = Counter()
    in_child(counter.count)
    around_fork(before=counter.count, in_parent=counter.count, in_child=counter.count)
    hooks = [hook for each in registered for hook in each.values()]
    assert len(hooks) == 4
    for hook in hooks:
        hook()
    assert counter.calls == 4
    weak = weakref.ref(counter)
    del counter
    gc.collect()
    assert weak() is None
    for hook in hooks:
        hook()


def test_a_function_is_called_for_good(registered: list[dict[str, Callable[[], None]]]) -> None:
    calls = []

    def note() -> None:
        calls.append(1)

    in_child(note)
    del note
    gc.collect()
    registered[0]["after_in_child"]()
    assert calls == [1]


def test_nothing_is_registered_where_the_system_can_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "register_at_fork")
    counter = Counter()
    in_child(counter.count)
    around_fork(before=counter.count, in_parent=counter.count, in_child=counter.count)
    assert counter.calls == 0
