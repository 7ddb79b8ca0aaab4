"""Metrics of OpenTelemetry. The rest of ckptstore asks `Monitor.metrics` whether there are any, and imports nothing of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Literal
from weakref import WeakKeyDictionary, WeakMethod

from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

from ckptstore.monitoring.attributes import Attributes
from ckptstore.monitoring.gauges import Gauges
from ckptstore.monitoring.providers import SCOPE, scope_version

#: What an operation works on.
Family = Literal["database", "blobs", "maintenance"]

# The conventions' own buckets, with two for what a local file takes.
_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_MAINTENANCE_SECONDS = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)
_BYTES = tuple(float(4**power) for power in range(3, 16))
_WRITES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 500)


#: The gauges of a store; None once it is closed.
ReadGauges = Callable[[], Gauges | None]


class Metrics:
    """Records the metrics of one store.

    Args:
        provider: of the application.
        attributes: of the database.
        read_gauges: a method, asked whenever metrics are collected; it does not keep its object alive.
    """

    def __init__(self, provider: MeterProvider, attributes: Attributes, read_gauges: ReadGauges) -> None:
        self._instruments = _instruments_of(provider)
        self._attributes = {name: value for name, value in attributes.items() if name.startswith("db.")}
        self._instruments.stores[self] = WeakMethod(read_gauges)

    def operation(self, family: Family, name: str, seconds: float, error: str | None) -> None:
        """Record one operation: how long it took, and the class of its exception if it failed."""
        attributes = {**self._attributes, "db.operation.name": name}
        if error is not None:
            attributes["error.type"] = error
            self._instruments.errors.add(1, attributes)
        self._instruments.durations[family].record(seconds, attributes)

    def batch(self, writes: int, size: int, seconds: float) -> None:
        """Record a batch that is durable."""
        self.operation("database", "commit", seconds, None)
        self._instruments.batch_writes.record(writes, self._attributes)
        self.moved("commit", size)

    def moved(self, operation: str, size: int) -> None:
        """Record the bytes of a batch, or of an object that was uploaded or downloaded."""
        self._instruments.sizes.record(size, {**self._attributes, "db.operation.name": operation})

    def retried(self, family: Family) -> None:
        """Record that an attempt is repeated."""
        self._instruments.retries.add(1, {**self._attributes, "ckptstore.target": family})

    def reclaimed(self, operation: str, size: int) -> None:
        """Record the bytes that a prune, a collection or a vacuum gave back."""
        self._instruments.reclaimed.add(size, {**self._attributes, "db.operation.name": operation})

    @property
    def key(self) -> frozenset[tuple[str, str | int]]:
        """The attributes of gauges. Stores with the same ones are reported as one."""
        return frozenset(self._attributes.items())


class _Instruments:
    """The instruments of one provider, which all stores of the process share."""

    def __init__(self, provider: MeterProvider) -> None:
        meter = provider.get_meter(SCOPE, scope_version())
        self.stores: WeakKeyDictionary[Metrics, WeakMethod[ReadGauges]] = WeakKeyDictionary()

        def durations(name: str, description: str, bounds: tuple[float, ...]) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=bounds)

        self.durations: dict[Family, Histogram] = {
            "database": durations("db.client.operation.duration", "Duration of operations on checkpoints and of commits", _SECONDS),
            "blobs": durations("ckptstore.blob.duration", "Duration of uploads and downloads of objects", _SECONDS),
            "maintenance": durations("ckptstore.maintenance.duration", "Duration of maintenance and transfers", _MAINTENANCE_SECONDS),
        }
        self.sizes = meter.create_histogram(
            "ckptstore.io", "By", "Bytes of batches and objects", explicit_bucket_boundaries_advisory=_BYTES
        )
        self.batch_writes = meter.create_histogram(
            "ckptstore.batch.writes", "{write}", "Writes of a batch", explicit_bucket_boundaries_advisory=_WRITES
        )
        self.errors = meter.create_counter("ckptstore.errors", "{error}", "Operations that failed")
        self.retries = meter.create_counter("ckptstore.retries", "{retry}", "Attempts that were repeated after a transient fault")
        self.reclaimed = meter.create_counter("ckptstore.reclaimed", "By", "Bytes that maintenance gave back")
        for name, (unit, description) in _GAUGES.items():
            meter.create_observable_gauge(f"ckptstore.{name}", [_Callback(self, name)], unit, description)

    def read(self) -> Iterator[tuple[Metrics, Gauges]]:
        """The stores that are open, and their gauges."""
        for store, method in list(self.stores.items()):
            if (read_gauges := method()) is not None and (gauges := read_gauges()) is not None:
                yield store, gauges


_GAUGES = {
    "queue.depth": ("{write}", "Writes that wait"),
    "queue.in_flight": ("{write}", "Writes that are being stored"),
    "connections.in_use": ("{connection}", "Connections to the database that are used"),
    "connections.idle": ("{connection}", "Connections to the database that are open and idle"),
}


class _Callback:
    """Gives one gauge, added up over the stores with the same attributes."""

    def __init__(self, instruments: _Instruments, name: str) -> None:
        self._instruments = instruments
        self._position = list(_GAUGES).index(name)

    def __call__(self, _options: CallbackOptions) -> Iterable[Observation]:
        sums: Counter[frozenset[tuple[str, str | int]]] = Counter()
        for store, gauges in self._instruments.read():
            sums[store.key] += gauges[self._position]
        return [Observation(value, dict(attributes)) for attributes, value in sums.items()]


_by_provider: WeakKeyDictionary[MeterProvider, _Instruments] = WeakKeyDictionary()


def _instruments_of(provider: MeterProvider) -> _Instruments:
    found = _by_provider.get(provider)
    if found is None:
        found = _by_provider[provider] = _Instruments(provider)
    return found
