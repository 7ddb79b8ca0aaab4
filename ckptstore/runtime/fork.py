"""Hooks around `os.fork`: a child process must use nothing that a worker thread of its parent may hold.

Where the operating system can't fork (Windows), the hooks are never called.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from types import MethodType
from typing import Any

Hook = Callable[[], None]

# Kept until the process ends: a garbage-collected object closes its connections, which are the parent's too.
_abandoned: list[object] = []


def in_child(hook: Hook) -> None:
    """Call a function in every child of a fork; a bound method only as long as its object lives."""
    _register(after_in_child=_weakly(hook))


def around_fork(*, before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Call bound methods of an object before every fork, and after it in the parent and in the child, as long as the object lives."""
    _register(before=_weakly(before), after_in_parent=_weakly(in_parent), after_in_child=_weakly(in_child))


def abandon(inherited: object) -> None:
    """Neither use nor close an object that was made before the fork: both would disturb the parent's connections."""
    _abandoned.append(inherited)


def _register(**hooks: Hook) -> None:
    register_at_fork: Callable[..., Any] | None = getattr(os, "register_at_fork", None)
    if register_at_fork is not None:
        register_at_fork(**hooks)


def _weakly(hook: Hook) -> Hook:
    if not isinstance(hook, MethodType):
        return hook
    # Python never removes a registered hook: it must not keep its object alive for as long as the process lives.
    weak = weakref.WeakMethod(hook)

    def call() -> None:
        alive = weak()
        if alive is not None:
            alive()

    return call
