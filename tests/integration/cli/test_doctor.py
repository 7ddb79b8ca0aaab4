"""`ckptstore doctor`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.conversations import converse


def run(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", "--url", url, *arguments])


@pytest.fixture
def database(lasting_url: str) -> str:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        converse(saver, "ann")
        # Tests before this one may have left a table of PostgreSQL with nothing but dead rows, which the doctor would be right to name.
        saver.vacuum()
    return lasting_url


def test_findings_with_what_to_run(database: str) -> None:
    done = run(database)
    assert done.exit_code == 0, done.output
    assert "note    load: no load was recorded" in done.stdout
    assert "ok      index: every index is there and valid" in done.stdout


def test_the_same_as_json_with_all_numbers(database: str) -> None:
    found = json.loads(run(database, "--json").stdout)
    assert found["ok"] is True
    assert {finding["name"] for finding in found["findings"]} >= {"database", "load", "retention", "index", "tags"}
    assert found["findings"][0].keys() == {"name", "severity", "message", "evidence", "command"}
    assert (found["facts"]["retention"]["checkpoints"], found["facts"]["retention"]["overdue_checkpoints"]) == (10, None)


def test_a_policy_says_what_is_overdue_and_deletes_nothing(database: str) -> None:
    for _ in range(2):
        found = json.loads(run(database, "--keep-last", "1", "--json").stdout)
        assert found["facts"]["retention"]["overdue_checkpoints"] > 0


def test_an_urgent_finding_is_exit_code_1(database: str) -> None:
    with SQLAlchemySaver.from_conn_string(database) as saver:
        saver.store.runner.write(lambda db: db.execute("DROP INDEX ckpt_object_by_digest")).result()
    done = run(database)
    with SQLAlchemySaver.from_conn_string(database) as saver:
        saver.store.runner.write(lambda db: db.execute("CREATE INDEX ckpt_object_by_digest ON ckpt_object (digest)")).result()
    assert (done.exit_code, done.stdout.startswith("urgent  index: the index ckpt_object_by_digest is missing")) == (1, True)


def test_what_is_no_store_is_a_sentence() -> None:
    done = run("not-there.sqlite")
    assert (done.exit_code, "does not exist" in done.output) == (1, True)
