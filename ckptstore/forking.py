"""What a process that forks leaves to its child: nothing that a thread of the parent may hold."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable


def in_child(method: Callable[[], None]) -> None:
    """Call a bound method in every child of a fork, as long as its object lives."""
    weak = weakref.WeakMethod(method)
    os.register_at_fork(after_in_child=lambda: (alive := weak()) and alive())
