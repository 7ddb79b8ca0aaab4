"""`ckptstore stats`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.conversations import converse


def run(url: str, *arguments: str, width: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(width)}).invoke(main, ["stats", "--url", url, *arguments])


@pytest.fixture
def database(lasting_url: str) -> str:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for thread_id in ("ann", "bob\x1b[1m"):
            converse(saver, thread_id)
    return lasting_url


def test_what_a_store_holds(database: str) -> None:
    done = run(database)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 threads, 20 checkpoints, which added ")
    for title in ("space", "values", "largest threads", "growth, by day in UTC"):
        assert title in lines
    assert ("blobs: 1 live (" in done.stdout) == (not database.startswith("postgresql"))
    assert "measured on all threads" in done.stdout
    assert "bob\\x1b[1m" in done.stdout
    assert "\x1b" not in done.stdout
    assert max(map(len, lines)) <= 140


def test_the_same_as_json(database: str) -> None:
    found = json.loads(run(database, "--json", "--days", "3", "--largest", "1").stdout)
    assert (found["threads"], found["checkpoints"], len(found["growth"])) == (2, 20, 3)
    assert [len(found["largest_threads"]), len(found["sample"]["channels"]), found["retention"]] == [1, 1, None]
    assert found["sample"]["channels"][0]["channel"] == "file"
    assert {table["name"] for table in found["tables"]} >= {
        "ckpt_checkpoint",
        "ckpt_tag_posting",
    }
    assert found["growth"][-1]["checkpoints"] == 20


def test_what_retention_would_take_and_did_not(database: str) -> None:
    done = run(database, "--keep-last", "1", "--json")
    report = json.loads(done.stdout)["retention"]
    assert (report["dry_run"], report["threads"], report["stopped"]) == (True, 2, False)
    assert report["checkpoints"] > 0
    assert f"{report['checkpoints']} checkpoints of 2 threads" in run(database, "--keep-last", "1").stdout
    assert json.loads(run(database, "--json").stdout)["checkpoints"] == 20
    ended = json.loads(run(database, "--keep-last", "1", "--max-seconds", "0", "--json").stdout)["retention"]
    assert (ended["stopped"], ended["checkpoints"]) == (True, 0)


@pytest.mark.parametrize(("arguments", "said"), [(["--older-than", "soon"], "--older-than"), (["--days", "0"], "--days")])
def test_wrong_options_are_usage_errors(arguments: list[str], said: str) -> None:
    done = run("unused.sqlite", *arguments)
    assert (done.exit_code, said in done.output) == (2, True)
