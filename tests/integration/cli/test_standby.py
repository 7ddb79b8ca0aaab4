"""The commands that only look work on a streaming standby."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import chain
from tests.support.inspector import inspecting
from tests.support.standbys import StandbyPair

pytestmark = pytest.mark.starts_processes


@pytest.fixture
async def standby(pair: StandbyPair) -> str:
    async with SQLAlchemySaver.from_conn_string(pair.primary) as saver:
        await chain(saver, "ann", 3, user="ann")
    pair.catch_up()
    return pair.standby


@pytest.mark.parametrize(
    "command",
    [
        'threads list --filter {"user":"ann"}',
        "threads show ann",
        "threads state ann",
        "stats",
        "prune --dry-run --keep-last 1",
        'threads erase --dry-run --filter {"user":"ann"}',
        "doctor",
        "blobs verify",
    ],
)
def test_a_command_reads_a_standby(standby: str, command: str) -> None:
    done = CliRunner().invoke(main, [*command.split(), "--url", standby])
    assert done.exit_code == 0, done.output
    assert "Traceback" not in done.output


def test_what_a_dry_run_on_a_standby_finds(standby: str) -> None:
    done = CliRunner().invoke(main, ["prune", "--dry-run", "--keep-last", "1", "--json", "--url", standby])
    assert json.loads(done.stdout)["checkpoints"] == 2


def test_the_check_says_that_it_is_a_standby(standby: str) -> None:
    done = CliRunner().invoke(main, ["check", "--url", standby])
    assert "standby, which takes no writes" in " ".join(done.output.split())


def test_a_command_that_writes_is_refused_in_a_sentence(standby: str) -> None:
    done = CliRunner().invoke(main, ["threads", "delete", "ann", "--yes", "--url", standby])
    assert done.exit_code != 0
    assert "Traceback" not in done.output


def test_the_inspector_shows_a_standby(standby: str) -> None:
    with inspecting(standby) as client:
        assert "ann" in client.get("/threads").text
