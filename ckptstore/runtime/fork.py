"""What a process that forks leaves to its child: nothing that a thread of the parent may hold."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

Hook = Callable[[], None]

# Kept to the end of the process: an object that goes closes its connections, which are the parent's too.
_abandoned: list[object] = []


def in_child(method: Hook) -> None:
    """Call a bound method in every child of a fork, as long as its object lives."""
    os.register_at_fork(after_in_child=_weakly(method))


def around_fork(*, before: Hook, in_parent: Hook, in_child: Hook) -> None:
    """Call bound methods of an object before every fork, and after it in the parent and in the child, as long as the object lives."""
    os.register_at_fork(before=_weakly(before), after_in_parent=_weakly(in_parent), after_in_child=_weakly(in_child))


def abandon(inherited: object) -> None:
    """Neither use nor close from here on what was made before the fork: both would disturb the parent's connections."""
    _abandoned.append(inherited)


def _weakly(method: Hook) -> Hook:
    # What is registered stays registered: it must not keep every object alive that ever was.
    weak = weakref.WeakMethod(method)

    def call() -> None:
        alive = weak()
        if alive is not None:
            alive()

    return call
