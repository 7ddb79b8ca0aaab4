"""OpenTelemetry with exporters in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.telemetry import Telemetry, telemetry


@pytest.fixture
def otel() -> Iterator[Telemetry]:
    with telemetry() as made:
        yield made
