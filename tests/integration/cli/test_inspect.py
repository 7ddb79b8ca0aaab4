"""`ckptstore inspect`."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.inspector.addresses import LOOPBACK, listen
from tests.support.build import checkpoint, config, metadata


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["inspect", "--no-browser", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_a_port_in_use_is_a_sentence(sqlite_url: str) -> None:
    with listen(LOOPBACK, 0, allow_remote=False) as taken:
        port = taken.getsockname()[1]
        assert run("--url", sqlite_url, "--port", str(port)) == (
            1,
            f"Error: port {port} of 127.0.0.1 is in use; give another one, or 0 for one that is free: --port\n",
        )


def test_other_machines_need_leave(sqlite_url: str) -> None:
    code, said = run("--url", sqlite_url, "--host", "0.0.0.0", "--port", "0")
    assert (code, "--allow-remote" in said) == (1, True)


@pytest.mark.parametrize("option", [["--port", "70000"], ["--port", "x"], ["--redact"]])
def test_wrong_options(sqlite_url: str, option: list[str]) -> None:
    assert run("--url", sqlite_url, *option)[0] == 2


def test_a_database_that_does_not_exist_or_fit(tmp_path: Path, bare_url: str) -> None:
    assert "does not exist" in run("--url", str(tmp_path / "none.sqlite"), "--port", "0")[1]
    if not bare_url.startswith("postgresql"):
        Path(bare_url).touch()
    code, said = run("--url", bare_url, "--port", "0")
    assert (code, "has no schema" in said, "ckptstore upgrade" in said) == (1, True, True)


def test_a_serialiser_that_does_not_encrypt(sqlite_url: str) -> None:
    code, said = run("--url", sqlite_url, "--port", "0", "--serde", "langgraph.checkpoint.serde.jsonplus:JsonPlusSerializer")
    assert (code, "does not encrypt" in said) == (1, True)


def test_what_is_not_installed_is_named(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ckptstore.inspector.guard", None)
    monkeypatch.delattr("ckptstore.inspector.guard", raising=False)
    code, said = run("--url", sqlite_url, "--port", "0")
    assert (code, "pip install 'ckptstore[inspect]'" in said) == (1, True)


@pytest.mark.starts_processes
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT can't be sent to one process there")
def test_it_serves_until_it_is_interrupted(sqlite_url: str) -> None:
    with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        saver.put(config("the-thread"), checkpoint(), metadata(), {})
    command = [sys.executable, "-m", "ckptstore.cli", "inspect", "--url", sqlite_url, "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == f"inspecting {sqlite_url}, read only; Ctrl-C ends it\n"
        url = process.stdout.readline().strip()
        with httpx2.Client() as client:
            assert client.get(url).status_code == 200
            assert "the-thread" in client.get(f"{url.partition('/?')[0]}/threads").text
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "Traceback" not in process.stderr.read()
