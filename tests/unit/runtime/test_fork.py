"""Hooks around a fork."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import weakref

import pytest

from ckptstore.runtime import fork
from ckptstore.runtime.fork import around_fork, in_child


class Noting:
    def __init__(self, calls: list[str], name: str) -> None:
        self.calls, self.name = calls, name

    def note(self) -> None:
        self.calls.append(self.name)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other hooks than those of a test."""
    for moment in ("_before", "_in_parent", "_in_child"):
        monkeypatch.setattr(fork, moment, fork._Hooks())


def test_a_method_is_called_as_long_as_its_object_lives_and_leaves_nothing_behind() -> None:
    calls: list[str] = []
    noting = Noting(calls, "called")
    in_child(noting.note)
    around_fork(before=noting.note, in_parent=noting.note, in_child=noting.note)
    moments = (fork._before, fork._in_parent, fork._in_child)
    for hooks in moments:
        hooks.call()
    assert len(calls) == 4
    weak = weakref.ref(noting)
    del noting
    gc.collect()
    assert weak() is None
    assert [hooks._hooks for hooks in moments] == [{}, {}, {}]
    for hooks in moments:
        hooks.call()
    assert len(calls) == 4


def test_a_function_is_called_for_good() -> None:
    calls = []

    def note() -> None:
        calls.append(1)

    in_child(note)
    del note
    gc.collect()
    fork._in_child.call()
    assert calls == [1]


def test_what_is_prepared_last_is_prepared_first_and_resumed_last() -> None:
    calls: list[str] = []
    first, second = Noting(calls, "first"), Noting(calls, "second")
    for each in (first, second):
        around_fork(before=each.note, in_parent=each.note, in_child=each.note)
    fork._before.call_reversed()
    fork._in_parent.call()
    assert calls == ["second", "first", "first", "second"]


def test_one_that_fails_is_logged_and_the_others_run(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[str] = []
    noting = Noting(calls, "called")

    def interrupted() -> None:
        raise KeyboardInterrupt

    in_child(interrupted)
    in_child(noting.note)
    with caplog.at_level(logging.ERROR):
        fork._in_child.call()
    assert calls == ["called"]
    assert [record.message for record in caplog.records] == ["a hook around a fork failed"]


@pytest.mark.starts_processes
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system can not fork")
def test_a_process_that_forks_calls_them() -> None:
    program = """
import os
from ckptstore.runtime.fork import around_fork, in_child
class Told:
    def before(self): os.write(1, b"before ")
    def parent(self): os.write(1, b"parent ")
    def child(self): os.write(1, b"child ")
told = Told()
around_fork(before=told.before, in_parent=told.parent, in_child=told.child)
if not (child := os.fork()):
    os._exit(0)
os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["before", "child", "parent"]
    assert done.stdout.startswith("before")
