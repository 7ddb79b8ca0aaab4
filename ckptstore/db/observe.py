"""Whether anyone observes an engine's statements: through SQLAlchemy's events or through its log."""

from __future__ import annotations

import logging

from sqlalchemy import Engine

# Instrumentation listens to these; they are called only for statements that SQLAlchemy itself executes.
_ENGINE_EVENTS = ("before_cursor_execute", "after_cursor_execute")
_DIALECT_EVENTS = ("do_execute", "do_execute_no_params", "handle_error")


def is_observed(engine: Engine) -> bool:
    """Whether a listener or a log handler would miss statements that are executed at the driver's own cursor.

    Listeners and log levels may change at any time, so this is asked once for each piece of work.
    """
    return (
        engine.logger.isEnabledFor(logging.INFO)
        or any(getattr(engine.dispatch, name) for name in _ENGINE_EVENTS)
        or any(getattr(engine.dialect.dispatch, name) for name in _DIALECT_EVENTS)
    )
