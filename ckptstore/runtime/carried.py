"""What a caller's thread passes on to the worker threads and event loops that work for it: OpenTelemetry's current context, if it is used.

Only that: other context variables of a caller (a web framework's request, the kind of its event loop) have no meaning there, and what
outlives the call, such as a connection, would keep them alive.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TypeVar

T = TypeVar("T")

#: Makes a context with what the calling thread passes on, or None if that is nothing. None while nobody needs it.
capture: Callable[[], Context | None] | None = None


def carrying(function: Callable[[], T]) -> Callable[[], T]:
    """A function that runs in the context that the calling thread passes on."""
    context = None if capture is None else capture()
    return function if context is None else partial(context.run, function)
