"""`ckptstore move`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.errors import StoreMoved
from tests.support.build import checkpoint, config, metadata
from tests.support.databases import url_of
from tests.support.transfers import contents, sqlite_file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["move", *arguments])


def put(url: str) -> None:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        saver.put(config("new"), checkpoint({}), metadata(0), {})


def test_there_and_what_it_says(request: pytest.FixtureRequest, source: str, tmp_path: Path) -> None:
    target = url_of("asyncpg", request, tmp_path)
    with SQLAlchemySaver.from_conn_string(source) as saver:
        before = contents(saver)
    done = run("--from", source, "--to", target)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("3 threads with 15 checkpoints moved in 2 rounds")
    assert "open your savers with postgresql+asyncpg://" in done.output
    with SQLAlchemySaver.from_conn_string(target) as moved:
        assert contents(moved) == before
    with pytest.raises(StoreMoved):
        put(source)
    assert json.loads(run("--from", source, "--to", target, "--json").output)["done"]
    assert run("--from", source, "--to", target).output.startswith("an earlier run has moved everything; the target has 3 threads with 15")
    assert run("--from", source, "--unseal").output == "unsealed: savers can write again\n"
    assert run("--from", source, "--unseal").output == "it was not sealed\n"
    put(source)


def test_without_a_target_and_with_problems(source: str, tmp_path: Path) -> None:
    assert run("--from", source).exit_code == 2
    target = str(tmp_path / "target.sqlite")
    with SQLAlchemySaver.from_conn_string(target) as other:
        other.put(config("t0"), checkpoint({}), metadata(0), {})
    done = run("--from", source, "--to", target)
    assert done.exit_code == 1
    assert "not moved; the source is as it was, and accepts writes" in done.output
    put(source)


PAUSED = """
import sys, time
from ckptstore.cli import main
from ckptstore.transfer import moving, run
from ckptstore.transfer.writing import StoreParcel

at, calls = int(sys.argv.pop(1)), iter(range(100))

def pause(original):
    def paused(*arguments, **named):
        if next(calls) == at:
            print("paused", flush=True)
            time.sleep(100)
        return original(*arguments, **named)
    return paused

StoreParcel.__call__ = pause(StoreParcel.__call__)
moving.seal_store = pause(moving.seal_store)
moving.thread_totals = pause(moving.thread_totals)
main()
"""


@pytest.mark.starts_processes
@pytest.mark.parametrize("at", [0, 1, 4, 6])
def test_killed_anywhere_and_run_again_it_ends_right(request: pytest.FixtureRequest, source: str, tmp_path: Path, at: int) -> None:
    target = url_of("asyncpg", request, tmp_path) if at == 0 else sqlite_file(request, tmp_path / "target.sqlite")
    with SQLAlchemySaver.from_conn_string(source) as saver:
        before = contents(saver)
    command = [sys.executable, "-c", PAUSED, str(at), "move", "--from", source, "--to", target]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if said == "paused\n":
            os.kill(process.pid, signal.SIGKILL)
    done = run("--from", source, "--to", target)
    assert done.exit_code == 0, done.output
    with SQLAlchemySaver.from_conn_string(target) as moved:
        assert contents(moved) == before
        assert moved.verify(deep=True).ok
    with pytest.raises(StoreMoved):
        put(source)
