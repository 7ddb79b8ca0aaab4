"""`ckptstore import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from langgraph.checkpoint.sqlite import SqliteSaver

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.langgraph.imports.test_official_sqlite import contents, fill
from tests.support.serialisers import encrypting
from tests.support.transfers import threads_of


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["import", *arguments])


def test_into_the_same_file_and_again(tmp_path: Path) -> None:
    file = str(tmp_path / "checkpoints.sqlite")
    with SqliteSaver.from_conn_string(file) as saver:
        fill(saver)
        before = contents(saver)
    done = run(file, "--to", file)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("3 threads copied, 0 brought up to date, 0 unchanged, 0 deleted: 9 checkpoints, 18 writes")
    assert json.loads(run(file, "--to", file, "--json").stdout)["unchanged_threads"] == 3
    with SQLAlchemySaver.from_conn_string(file) as ours:
        assert contents(ours) == before


def test_an_encrypted_file_with_its_serialiser(tmp_path: Path, lasting_url: str) -> None:
    file = str(tmp_path / "checkpoints.sqlite")
    with SqliteSaver.from_conn_string(file) as saver:
        saver.serde = encrypting()
        fill(saver, 1)
        before = contents(saver)
    failed = run(file, "--to", lasting_url)
    assert failed.exit_code == 1
    assert "--serde module:object" in failed.output
    assert run(file, "--to", lasting_url, "--serde", "tests.support.serialisers:encrypting").exit_code == 0
    with SQLAlchemySaver.from_conn_string(lasting_url, serde=encrypting()) as ours:
        assert threads_of(ours) == ["t0"]
        assert contents(ours) == before


@pytest.mark.parametrize(
    ("source", "code", "says"),
    [("missing.sqlite", 1, "does not exist"), (":memory:", 1, "pass the saver"), ("mysql://x/y", 1, "unknown URL scheme")],
)
def test_a_source_that_is_none_says_so(tmp_path: Path, source: str, code: int, says: str) -> None:
    done = run(source, "--to", str(tmp_path / "ours.sqlite"))
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert "Traceback" not in done.output
