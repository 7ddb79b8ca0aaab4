"""Settings of monitoring, validated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckptstore.errors import require_number

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """What a saver reports about itself, see docs/monitoring.md.

    Args:
        slow_write_seconds: a put, or a task's writes, that took so long is logged.
        slow_read_seconds: a get, or a page of a listing, that took so long is logged.
        tracer_provider: of OpenTelemetry's spans; by default the application's, if it has set one by the first use of the saver.
        meter_provider: the same of OpenTelemetry's metrics.
        record_load: whether the saver writes what it did into the table `ckpt_load`: one row for each minute in which it did something,
            kept for 14 days. `ckptstore doctor` reads it.
    """

    slow_write_seconds: float = 1.0
    slow_read_seconds: float = 1.0
    tracer_provider: TracerProvider | None = None
    meter_provider: MeterProvider | None = None
    record_load: bool = True

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: a time is negative, or no number.
        """
        for name in ("slow_write_seconds", "slow_read_seconds"):
            require_number(name, getattr(self, name), 0)


#: The default, which is checked once a process.
DEFAULT_MONITORING = MonitoringSettings()
