"""Finds OpenTelemetry's providers, if the application has set any. Without them, nothing of OpenTelemetry is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

P = TypeVar("P")

#: The name of the instrumentation.
SCOPE = "ckptstore"


def scope_version() -> str:
    """The version of the instrumentation."""
    return version("ckptstore")


def tracer_provider() -> TracerProvider | None:
    """The provider of spans that the application has set; None if spans would lead nowhere."""
    if not _may_be_set("opentelemetry.trace", "OTEL_PYTHON_TRACER_PROVIDER"):
        return None
    from opentelemetry.trace import get_tracer_provider

    return _real(get_tracer_provider)


def meter_provider() -> MeterProvider | None:
    """The provider of metrics that the application has set; None if they would lead nowhere."""
    if not _may_be_set("opentelemetry.metrics", "OTEL_PYTHON_METER_PROVIDER"):
        return None
    from opentelemetry.metrics import get_meter_provider

    return _real(get_meter_provider)


def _may_be_set(module: str, variable: str) -> bool:
    """Whether there can be a provider: an application that sets one has imported the module, or names one in the environment."""
    return module in sys.modules or variable in os.environ


def _real(get: Callable[[], P]) -> P | None:
    # The API's own providers stand in for one that was not set, or do nothing.
    found = get()
    module = type(found).__module__
    return None if module.startswith(("opentelemetry.trace", "opentelemetry.metrics")) else found
