"""`ckptstore threads show`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import chain, config, metadata
from tests.support.conversations import converse

DRAWN = ["●", "○", "●", "●", "│ ●", "│ ○", "│ ●", "● ┘", "●", "○"]


def run(url: str, *arguments: str, width: int = 140) -> Result:
    return CliRunner(env={"COLUMNS": str(width)}).invoke(main, ["threads", "show", "--url", url, *arguments])


@pytest.fixture
def database(lasting_url: str) -> str:
    with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        converse(saver)
    return lasting_url


def test_the_tree_of_a_graph_that_forked(database: str) -> None:
    done = run(database, "ann")
    assert done.exit_code == 0, done.output
    head, _, *rows = done.stdout.splitlines()
    assert head.startswith("thread ann: 10 checkpoints, ")
    # The fork, the subgraph and the root graph's checkpoint of the branch before it, and what both have in common.
    assert [row.split("1f")[0].rstrip() for row in rows] == DRAWN
    assert sum("1 interrupt" in row for row in rows) == 4


def test_the_same_as_json(database: str) -> None:
    found = json.loads(run(database, "ann", "--json").stdout)
    checkpoints: list[dict[str, Any]] = found["checkpoints"]
    assert found["checkpoint_count"] == len(checkpoints)
    by_id = {each["checkpoint_id"]: each for each in checkpoints}
    assert [each["checkpoint_id"] for each in checkpoints] == sorted(by_id, reverse=True)
    children = [each["parent_checkpoint_id"] for each in checkpoints if not each["checkpoint_ns"] and each["parent"] == "stored"]
    [forked] = {each for each in children if children.count(each) == 2}
    assert by_id[forked]["step"] == 1
    subgraphs = [each for each in checkpoints if each["checkpoint_ns"]]
    assert {each["checkpoint_ns"].partition(":")[0] for each in subgraphs} == {"ask"}
    assert all(by_id[each["ran_under"]]["interrupts"] == 1 for each in subgraphs)
    assert {each["source"] for each in checkpoints} == {"input", "loop", "update"}
    assert by_id[forked]["writes"][0].keys() == {"channel", "writes", "tasks", "bytes"}


def test_a_narrow_terminal_has_shorter_ids_and_loses_no_row(database: str) -> None:
    lines = run(database, "ann", width=80).stdout.splitlines()
    assert len(lines) == len(run(database, "ann").stdout.splitlines())
    assert max(map(len, lines[1:])) <= 80


def test_one_namespace(database: str) -> None:
    rest = json.loads(run(database, "ann", "--ns", "", "--json").stdout)["checkpoints"]
    assert {each["checkpoint_ns"] for each in rest} == {""}


async def test_pages_continue_where_the_last_one_ended(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        made = [where["configurable"]["checkpoint_id"] for where in await chain(saver, "t", 7)]
    seen: list[str] = []
    more: list[str] = []
    for _ in range(3):
        page = json.loads(run(lasting_url, "t", "--limit", "3", "--json", *more).stdout)
        seen += [each["checkpoint_id"] for each in page["checkpoints"]]
        more = ["--before", page["next"]]
    assert seen == made[::-1]
    assert page["next"] is None
    assert run(lasting_url, "t", "--limit", "3").stdout.splitlines()[-1] == f"more: --before {made[4]}"


async def test_a_gap_is_shown_where_parents_were_pruned(lasting_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        await chain(saver, "t", 4)
        await saver.aprune(["t"])
    done = run(lasting_url, "t")
    assert "● ┆" in done.stdout
    assert done.stdout.splitlines()[-1] == "┆ marks a checkpoint whose parent was pruned or deleted"
    [left] = json.loads(run(lasting_url, "t", "--json").stdout)["checkpoints"]
    assert (left["parent"], left["parent_checkpoint_id"] is None) == ("missing", False)


async def test_hostile_metadata_and_ids_do_no_harm(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await saver.aput_writes(config("\x1b[2J", "c"), [("\x1b]0;x\x07", 1)], "task")
        made: Any = {"v": 4, "id": "\x1b[31m", "ts": "", "channel_values": {}, "channel_versions": {}, "versions_seen": {}}
        await saver.aput(config("\x1b[2J"), made, metadata(source="\x1b[1m", step="no number"), {})  # type: ignore[arg-type]
    done = run(sqlite_url, "\x1b[2J")
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout


def test_a_thread_that_does_not_exist_is_a_sentence(database: str) -> None:
    done = run(database, "nobody")
    assert (done.exit_code, done.output) == (1, "Error: there is no thread 'nobody'; see: ckptstore threads list\n")


async def test_a_terminal_without_unicode_has_other_signs(sqlite_url: str) -> None:
    async with SQLAlchemySaver.from_conn_string(sqlite_url) as saver:
        await chain(saver, "t", 2)
    done = CliRunner(charset="ascii").invoke(main, ["threads", "show", "--url", sqlite_url, "t"])
    assert done.exit_code == 0, done.output
    assert [line[0] for line in done.stdout.splitlines()[2:]] == ["*", "o"]
