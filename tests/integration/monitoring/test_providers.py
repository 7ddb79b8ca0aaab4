"""Which providers are taken, each in a process of its own: a provider is set once for a whole process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.forks import run_script

pytestmark = pytest.mark.starts_processes

USE = """
import sys
from ckptstore import SQLAlchemySaver
from ckptstore.langgraph.saver import _wait  # everything is imported
{before}
saver = SQLAlchemySaver.from_conn_string(sys.argv[1])
{between}
saver.setup()
saver.get_tuple({{"configurable": {{"thread_id": "t"}}}})
monitor = saver.store.monitor
print(monitor.tracing is not None, monitor.metrics is not None, "opentelemetry" in sys.modules)
saver.close()
"""
SET = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
metrics.set_meter_provider(MeterProvider())
"""


def run(tmp_path: Path, before: str = "", between: str = "", **environment: str) -> str:
    program = tmp_path / "program.py"
    program.write_text(USE.format(before=before, between=between))
    done = run_script(program, str(tmp_path / "checkpoints.sqlite"), folder=tmp_path, environment=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_opentelemetry_nothing_of_it_is_imported(tmp_path: Path) -> None:
    # Not forked: what its processes are forked from has imported everything.
    command = [sys.executable, "-c", USE.format(before="", between=""), str(tmp_path / "checkpoints.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False False False"


def test_the_api_alone_costs_nothing(tmp_path: Path) -> None:
    assert (
        run(tmp_path, "from opentelemetry import metrics, trace; trace.get_tracer('app'); metrics.get_meter('app')") == "False False True"
    )


def test_providers_that_are_set_before_the_saver_is_built(tmp_path: Path) -> None:
    assert run(tmp_path, SET) == "True True True"


def test_providers_that_are_set_before_the_first_use(tmp_path: Path) -> None:
    assert run(tmp_path, between=SET) == "True True True"


def test_a_provider_that_the_environment_names(tmp_path: Path) -> None:
    named = {"OTEL_PYTHON_TRACER_PROVIDER": "sdk_tracer_provider", "OTEL_PYTHON_METER_PROVIDER": "sdk_meter_provider"}
    assert run(tmp_path, **named) == "True True True"
