"""Whether anyone observes an engine's statements: through SQLAlchemy's events or through its log."""

from __future__ import annotations

import logging

from sqlalchemy import Engine


def is_observed(engine: Engine) -> bool:
    """Whether a listener or a log handler would miss statements that are executed at the driver's own cursor.

    Listeners and log levels may change at any time, so this is checked once for each work.
    """
    engine_events, dialect_events = engine.dispatch, engine.dialect.dispatch
    # Written out for speed, since every put and every get checks it: SQLAlchemy calls these only for statements that it executes itself.
    return bool(
        engine.logger.isEnabledFor(logging.INFO)
        or engine_events.before_cursor_execute
        or engine_events.after_cursor_execute
        or dialect_events.do_execute
        or dialect_events.do_execute_no_params
        or dialect_events.handle_error
    )
