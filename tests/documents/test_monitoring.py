"""docs/monitoring.md: its blocks run, Prometheus can scrape what they set up, and the dashboard asks for metrics that exist."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ckptstore.monitoring.settings import MonitoringSettings
from tests.support.documents import CHECKOUT, PageRun, blocks_of

PAGE = CHECKOUT / "docs" / "monitoring.md"
DASHBOARD = CHECKOUT / "docs" / "grafana" / "ckptstore.json"

# Each metric appears with its first value.
SCENARIO = """
import asyncio, urllib.request
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

asyncio.run(use())
print(urllib.request.urlopen("http://127.0.0.1:PORT/metrics").read().decode())
saver.close()
"""


def program_of(title: str) -> tuple[str, str]:
    """A block of the page, with a free port in the place of its own; and that port."""
    block = next(block for block in blocks_of(PAGE) if block.title == title)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return block.text.replace("9464", port), port


def run(program: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What Prometheus gets from the process that the page sets up."""
    program, port = program_of("metrics.py")
    program += SCENARIO.replace("PORT", port)
    return run(program, tmp_path_factory.mktemp("scraped"))


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
    assert '"name": "ckptstore.get"' in run(program, tmp_path)
