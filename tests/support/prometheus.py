"""A real Prometheus that scrapes a process of the tests."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

PROMETHEUS = shutil.which("prometheus")


class Prometheus:
    """Asks a server through its HTTP API.

    Args:
        base: its address.
    """

    def __init__(self, base: str) -> None:
        self._base = base

    def _get(self, path: str, **parameters: str) -> Any:
        with urlopen(f"{self._base}/api/v1/{path}?{urlencode(parameters)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of the series that an expression gives now."""
        return [(series["metric"], float(series["value"][1])) for series in self._get("query", query=expression)["result"]]

    def label_values(self, metric: str, label: str) -> list[str]:
        """What Grafana's `label_values(metric, label)` asks for."""
        found: list[str] = self._get(f"label/{label}/values", **{"match[]": metric})
        return found


@contextmanager
def prometheus(folder: Path, scrape_configs: str) -> Iterator[Prometheus]:
    """A server that scrapes each second.

    Args:
        folder: for its files.
        scrape_configs: that part of its configuration.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    (folder / "prometheus.yml").write_text(f"global:\n  scrape_interval: 1s\n{scrape_configs}")
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(PROMETHEUS), *options, "--log.level=warn"], stdout=log, stderr=log)
        try:
            _wait_for(f"http://{address}/-/ready", process, folder / "log")
            yield Prometheus(f"http://{address}")
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        try:
            urlopen(url, timeout=5).close()
            return
        except (URLError, ConnectionError):
            time.sleep(0.05)
    raise AssertionError(log.read_text())
