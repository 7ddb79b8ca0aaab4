"""OpenTelemetry's SDK with exporters in memory, for one test: no provider of the process is set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ckptstore import MonitoringSettings


class Telemetry:
    """Providers, and what they were given."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader])

    @property
    def settings(self) -> MonitoringSettings:
        return MonitoringSettings(tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, name: str) -> list[ReadableSpan]:
        """The finished spans of an operation of ckptstore, in the order in which they ended."""
        return [span for span in self._exporter.get_finished_spans() if span.name == f"ckptstore.{name}"]

    def span(self, name: str) -> ReadableSpan:
        """The only finished span of an operation."""
        (found,) = self.spans(name)
        return found

    def all_spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def clear(self) -> None:
        self._exporter.clear()

    def points(self, name: str) -> list[Any]:
        """The data points of a metric."""
        data = self._reader.get_metrics_data()
        scopes = [] if data is None else [scope for each in data.resource_metrics for scope in each.scope_metrics]
        return [point for scope in scopes for metric in scope.metrics if metric.name == name for point in metric.data.data_points]

    def values(self, name: str, *by: str) -> dict[Any, Any]:
        """The values of a counter or gauge, or the counts of a histogram, by some attributes."""
        return {
            tuple(point.attributes.get(each) for each in by): point.count if hasattr(point, "count") else point.value
            for point in self.points(name)
        }


@contextmanager
def telemetry() -> Iterator[Telemetry]:
    made = Telemetry()
    yield made
    made.tracers.shutdown()
    made.meters.shutdown()


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
