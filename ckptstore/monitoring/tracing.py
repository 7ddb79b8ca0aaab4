"""Spans of OpenTelemetry. The rest of ckptstore asks `Monitor.tracing` whether there are any, and imports nothing of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar

from opentelemetry import context as otel
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, use_span

from ckptstore.errors import CkptStoreError
from ckptstore.monitoring.attributes import Attributes, subject_attributes
from ckptstore.monitoring.providers import SCOPE, scope_version
from ckptstore.monitoring.subject import Subject
from ckptstore.runtime import carried

T = TypeVar("T")

_NANOSECONDS = 1_000_000_000


class Tracing:
    """Makes the spans of one store.

    Args:
        provider: of the application.
        attributes: of the database.
    """

    def __init__(self, provider: TracerProvider, attributes: Attributes) -> None:
        self._tracer = provider.get_tracer(SCOPE, scope_version())
        self._attributes = attributes
        # Worker threads and loops then continue the caller's trace.
        carried.capture = _capture

    @contextmanager
    def span(self, name: str, subject: Subject, more: Attributes) -> Iterator[Span]:
        """A span that is current in this context. Of an exception it has the class, and the text of our own only, which hold no values.

        Args:
            name: of the operation.
            subject: what it is about.
            more: further attributes.
        """
        attributes = {**self._attributes, "db.operation.name": name, **subject_attributes(subject), **more}
        made = self._tracer.start_as_current_span(
            f"ckptstore.{name}", attributes=attributes, record_exception=False, set_status_on_exception=False
        )
        with made as span:
            try:
                yield span
            except BaseException as exc:
                _set_error(span, exc)
                raise

    def begin_batch(self) -> BatchSpan:
        """The span of a batch that begins: of no trace of its writes, which may have several."""
        attributes = {**self._attributes, "db.operation.name": "commit"}
        return BatchSpan(self._tracer.start_span("ckptstore.commit", otel.Context(), SpanKind.CLIENT, attributes))

    def stored_directly(self, seconds: float) -> None:
        """Make the span of a write that its caller has stored, within the write's span."""
        ended = time.time_ns()
        attributes = {**self._attributes, "db.operation.name": "commit", "ckptstore.batch.writes": 1}
        started = ended - int(seconds * _NANOSECONDS)
        self._tracer.start_span("ckptstore.commit", None, SpanKind.CLIENT, attributes, start_time=started).end(ended)


class BatchSpan:
    """The span of a batch under way."""

    def __init__(self, span: Span) -> None:
        self._span = span

    def around(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function within the span."""
        with use_span(self._span, record_exception=False, set_status_on_exception=False):
            return function(*args)

    def end(self, writes: Sequence[Span | None], exc: BaseException | None) -> None:
        """End the span.

        Args:
            writes: for each of its writes the span, if it has one: the batch links them.
            exc: why it was not stored.
        """
        for write in writes:
            if write is not None and write.get_span_context().is_valid:
                self._span.add_link(write.get_span_context())
        self._span.set_attribute("ckptstore.batch.writes", len(writes))
        if len(writes) > 1:
            self._span.set_attribute("db.operation.batch.size", len(writes))
        if exc is not None:
            _set_error(self._span, exc)
        self._span.end()


def _set_error(span: Span, exc: BaseException) -> None:
    if isinstance(exc, Exception):
        span.set_attribute("error.type", type(exc).__name__)
        span.set_status(Status(StatusCode.ERROR, str(exc) if isinstance(exc, CkptStoreError) else None))


def _capture() -> Context | None:
    current = otel.get_current()
    if not current:
        return None
    made = Context()
    made.run(otel.attach, current)
    return made
