"""docs/monitoring.md: its blocks run, Prometheus can scrape what they set up, and the dashboard asks for metrics that exist."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ckptstore.monitoring.settings import MonitoringSettings
from tests.support.documents import CHECKOUT, PageRun, blocks_of
from tests.support.forks import run_script
from tests.support.prometheus import PROMETHEUS, prometheus

PAGE = CHECKOUT / "docs" / "monitoring.md"
DASHBOARD = CHECKOUT / "docs" / "grafana" / "ckptstore.json"

# A round for each line of its input. Each metric appears with its first value.
SCENARIO = """
import asyncio, sys, urllib.request
from datetime import timedelta
from ckptstore import RetentionPolicy
from ckptstore.errors import CkptStoreError
from langgraph.checkpoint.base import empty_checkpoint

async def use():
    where = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
    for step in range(3):
        made = empty_checkpoint()
        version = f"{step + 1:08}.abcdefgh"
        made |= {"channel_values": {"data": bytes([step]) * 200_000}, "channel_versions": {"data": version}}
        where = await saver.aput(where, made, {"source": "loop", "step": step, "parents": {}}, {"data": version})
    await saver.aput_writes(where, [("x", 1)], "task")
    saver.store._cache._start()
    await saver.aget_tuple(where)
    await saver.alist(where)
    await saver.aprune_by(RetentionPolicy(keep_last=1))
    await saver.acollect(grace=timedelta(0))
    try:
        await saver.aput_writes(where, [("x", "x" * 20_000_000)], "large")
    except CkptStoreError:
        pass
    saver.store.monitor.retried("database")
    saver.store.monitor.reclaimed("prune", 1)

while sys.stdin.readline():
    asyncio.run(use())
    print(urllib.request.urlopen("http://127.0.0.1:PORT/metrics").read().decode() + "END", flush=True)
saver.close()
"""


def program_of(title: str) -> tuple[str, str]:
    """A block of the page, with a free port in the place of its own; and that port."""
    block = next(block for block in blocks_of(PAGE) if block.title == title)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return block.text.replace("9464", port), port


class Exporting:
    """A process that the page sets up, which does something of everything in each round.

    Args:
        folder: where its store is.
    """

    def __init__(self, folder: Path) -> None:
        program, self.port = program_of("metrics.py")
        program += SCENARIO.replace("PORT", self.port)
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=folder)

    def one_round(self) -> str:
        """What Prometheus gets after one more round."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(file=self.process.stdin, flush=True)
        lines = list(iter(self.process.stdout.readline, "END\n"))
        assert lines[-1:] != [""], self.process.communicate()[1]
        return "".join(lines)


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    process = Exporting(tmp_path_factory.mktemp("exporting"))
    yield process
    _, errors = process.process.communicate()
    assert process.process.returncode == 0, errors


@pytest.fixture(scope="module")
def scraped(exporting: Exporting) -> str:
    """What Prometheus gets from the process after its first round."""
    return exporting.one_round()


def names_in(text: str) -> set[str]:
    return set(re.findall(r"^(\w+)\{", text, re.MULTILINE))


def test_prometheus_gets_what_a_saver_did(scraped: str) -> None:
    found = dict(re.findall(r'db_client_operation_duration_seconds_count\{[^}]*db_operation_name="(\w+)"[^}]*\} (\S+)', scraped))
    assert found == {"put": "3.0", "put_writes": "1.0", "get": "1.0", "list": "1.0", "commit": "4.0"}
    assert 'db_namespace="checkpoints.sqlite"' in scraped
    assert 'error_type="CheckpointTooLarge"' in scraped
    assert "ckptstore_thread" not in scraped


def test_the_dashboard_asks_for_metrics_that_exist(scraped: str) -> None:
    text = DASHBOARD.read_text()
    asked = set(re.findall(r"\b((?:db_client|ckptstore)_\w+)[{,]", text))
    assert len(asked) >= 12
    assert sorted(asked - names_in(scraped)) == []


def expressions() -> dict[str, str]:
    """What each query of the dashboard asks Prometheus for, by what its series are called."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = {f"{panel['title']}: {each['legendFormat']}": each["expr"] for panel in panels for each in panel["targets"]}
    values = {"$__rate_interval": "1m", "$__range": "1m", "$database": "checkpoints.sqlite"}
    return {name: re.sub(r"\$\w+", lambda variable: values[variable[0]], expression) for name, expression in found.items()}


def is_shown(name: str, series: list[tuple[dict[str, str], float]]) -> bool:
    """Whether a panel draws something: numbers, under names that are not empty."""
    labels = re.findall(r"{{(\w+)}}", name)
    return any(value == value and all(label in found for label in labels) for found, value in series)


@pytest.mark.starts_processes
@pytest.mark.skipif(PROMETHEUS is None, reason="needs prometheus: apt-get install prometheus")
def test_every_query_of_the_dashboard_gives_data(exporting: Exporting, scraped: str, tmp_path: Path) -> None:
    assert scraped
    page = next(block for block in blocks_of(PAGE) if block.text.startswith("scrape_configs"))
    missing = expressions()
    assert len(missing) >= 14
    until = time.monotonic() + 60
    with prometheus(tmp_path, page.text.replace("9464", exporting.port)) as server:
        while missing:
            assert time.monotonic() < until, f"no data: {missing}"
            # What has not changed between two scrapes has no rate, so each turn does something.
            exporting.one_round()
            missing = {name: expression for name, expression in missing.items() if not is_shown(name, server.query(expression))}
        assert server.label_values("db_client_operation_duration_seconds_count", "db_namespace") == ["checkpoints.sqlite"]


def test_the_page_names_every_metric(scraped: str) -> None:
    page = PAGE.read_text()
    families = {
        re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names_in(scraped) if name.startswith(("db_client", "ckptstore"))
    }
    assert sorted(family for family in families if f"`{family}`" not in page) == []


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)\}?", json.dumps(dashboard["panels"])))
    assert used - variables <= {"__rate_interval", "__range"}


def test_the_page_names_every_setting() -> None:
    page = PAGE.read_text()
    assert [name for name in MonitoringSettings.__dataclass_fields__ if name not in page] == []


async def test_the_blocks_before_opentelemetry_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    page_run = PageRun(tmp_path, {}, monkeypatch.setenv)
    for block in blocks_of(PAGE):
        if block.not_run is None:
            await page_run.run(block)
    assert capsys.readouterr().out == "0 None {}\n"
    with TestClient(page_run.names["app"]) as client:
        answer = client.get("/ready")
    assert (answer.status_code, answer.json()["ok"]) == (200, True)
    page_run.close()


def test_the_block_of_traces_runs(tmp_path: Path) -> None:
    program, _ = program_of("traces.py")
    program += '\nsaver.get_tuple({"configurable": {"thread_id": "t"}})\nsaver.close()\n'
    (tmp_path / "traces.py").write_text(program)
    done = run_script(tmp_path / "traces.py", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert '"name": "ckptstore.get"' in done.stdout
