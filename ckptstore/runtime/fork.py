"""Hooks around `os.fork`: a child process must use nothing that a worker thread of its parent may hold.

Where the operating system can't fork (Windows), the hooks are never called.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from itertools import count
from types import MethodType
from weakref import ref

logger = logging.getLogger(__name__)

Hook = Callable[[], None]
#: Gives a hook, or None once the object is gone whose method it is.
_Weak = Callable[[], Hook | None]

# Kept until the process ends: a garbage-collected object closes its connections, which are the parent's too.
_abandoned: list[object] = []


class _Hooks:
    """Functions for one moment of a fork. Python never removes what was registered with it: these are removed with their objects.

    Each change is one operation: callers may be interrupted at any bytecode, and objects may be collected at any time.
    """

    def __init__(self) -> None:
        self._numbers = count()
        self._hooks: dict[int, _Weak] = {}

    def add(self, hook: Hook) -> None:
        """Add a function; a bound method only as long as its object lives."""
        number = next(self._numbers)
        if not isinstance(hook, MethodType):
            self._hooks[number] = lambda: hook
            return
        function = hook.__func__
        remove = self._hooks.pop
        weak = ref(hook.__self__, lambda _: remove(number, None))

        def find() -> Hook | None:
            alive = weak()
            return None if alive is None else MethodType(function, alive)

        self._hooks[number] = find

    def call(self) -> None:
        """Call them in the order in which they were added."""
        self._call([*self._hooks.values()])

    def call_reversed(self) -> None:
        """Call them, the last one first."""
        self._call([*self._hooks.values()][::-1])

    def _call(self, hooks: list[_Weak]) -> None:
        for find in hooks:
            hook = find()
            if hook is None:
                continue
            try:
                hook()
            except BaseException:
                # As Python does with its own hooks: a fork can't be refused, and the other ones have to run.
                logger.exception("a hook around a fork failed", extra={"event": "fork_hook_failed"})


_before, _in_parent, _in_child = _Hooks(), _Hooks(), _Hooks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before.call_reversed, after_in_parent=_in_parent.call, after_in_child=_in_child.call)


def in_child(hook: Hook) -> None:
    """Call a function in every child of a fork; a bound method only as long as its object lives."""
    _in_child.add(hook)


def around_fork(*, before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Call bound methods of an object before every fork, and after it in the parent and in the child, as long as the object lives."""
    _before.add(before)
    _in_parent.add(in_parent)
    _in_child.add(in_child)


def abandon(inherited: object) -> None:
    """Neither use nor close an object that was made before the fork: both would disturb the parent's connections."""
    _abandoned.append(inherited)
