"""`ckptstore threads list`, `delete` and `copy`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver, TagKeys
from ckptstore.cli import main
from tests.support.build import chain, config
from tests.support.rows import expect_tags_of


def run(url: str, *arguments: str, answer: str | None = None) -> Result:
    return CliRunner().invoke(main, ["threads", arguments[0], "--url", url, *arguments[1:]], input=answer)


@pytest.fixture
async def database(lasting_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(lasting_url) as saver:
        for number, thread_id in enumerate(("a", "b", "c\x1b[1m")):
            await chain(saver, thread_id, number + 1, user=thread_id[0], turn=number)
    return lasting_url


def test_threads_are_listed_newest_first_in_pages(database: str) -> None:
    done = run(database, "list", "--limit", "2")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["thread", "checkpoints", "size", "last", "activity", "created"]
    assert [line.split()[:2] for line in lines[1:3]] == [["c\\x1b[1m", "3"], ["b", "2"]]
    assert lines[3:] == ["more: --after 'b'"]
    assert "\x1b" not in done.stdout
    page = json.loads(run(database, "list", "--limit", "2", "--json").stdout)
    assert ([thread["thread_id"] for thread in page["threads"]], page["next"]) == (["c\x1b[1m", "b"], "b")
    rest = json.loads(run(database, "list", "--limit", "2", "--after", "b", "--json").stdout)
    assert ([thread["thread_id"] for thread in rest["threads"]], rest["next"]) == (["a"], None)
    ordered = json.loads(run(database, "list", "--order", "thread_id", "--json").stdout)
    assert [thread["checkpoints"] for thread in ordered["threads"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("wanted", "found"), [('{"user": "b"}', ["b"]), ('{"turn": {"$gte": 1}}', ["c\x1b[1m", "b"]), ('{"user": "x"}', [])]
)
def test_threads_are_found_by_metadata(database: str, wanted: str, found: list[str]) -> None:
    done = run(database, "list", "--filter", wanted, "--json")
    assert [thread["thread_id"] for thread in json.loads(done.stdout)["threads"]] == found
    assert ("no thread has a checkpoint" in run(database, "list", "--filter", wanted).stdout) == (not found)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--filter", "{user"], 2, "it is no JSON"),
        (["--filter", "[" * 100_000], 2, "it is no JSON"),
        (["--filter", "3"], 1, "a filter must be a dict"),
        (["--filter", '{"a": {"$near": 1}}'], 1, "unknown operator '$near'"),
        (["--after", "nobody"], 1, "there is no thread 'nobody'; see: ckptstore threads list"),
        (["--limit", "0"], 2, "--limit"),
    ],
)
def test_what_can_not_be_read_is_a_sentence(sqlite_database: str, arguments: list[str], code: int, said: str) -> None:
    done = run(sqlite_database, "list", *arguments)
    assert (done.exit_code, said in done.output) == (code, True), done.output
    assert isinstance(done.exception, SystemExit)


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> str:
    async with SQLAlchemySaver.from_conn_string(sqlite_url, tag_keys=TagKeys(exclude=("turn",))) as saver:
        await chain(saver, "a", 2, user="a", turn=1)
    return sqlite_url


def test_a_filter_on_a_key_without_index_says_so(sqlite_database: str) -> None:
    done = run(sqlite_database, "list", "--filter", '{"turn": 1}')
    assert (done.exit_code, "turn" in done.output) == (1, True)


def test_an_empty_database_has_no_threads(sqlite_url: str) -> None:
    assert run(sqlite_url, "list").stdout == "no threads\n"
    assert json.loads(run(sqlite_url, "list", "--json").stdout) == {"threads": [], "next": None}


def test_a_database_that_does_not_exist_is_not_created(tmp_path: Path) -> None:
    done = run(str(tmp_path / "typo.sqlite"), "list")
    assert (done.exit_code, "does not exist" in done.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_does_not_fit_names_the_command(tmp_path: Path) -> None:
    (tmp_path / "empty.sqlite").touch()
    done = run(str(tmp_path / "empty.sqlite"), "list")
    assert (done.exit_code, "ckptstore upgrade" in done.output) == (1, True)


def test_a_thread_is_deleted_when_somebody_agrees(database: str) -> None:
    assert run(database, "delete", "b", answer="n\n").exit_code == 1
    asked = run(database, "delete", "b", answer="y\n")
    assert (asked.exit_code, "delete thread 'b' with 2 checkpoints?" in asked.output) == (0, True)
    assert "thread 'b' deleted: 2 checkpoints" in asked.output
    assert json.loads(run(database, "delete", "a", "--yes", "--json").stdout) == {"thread_id": "a", "checkpoints": 1, "writes": 0}
    again = run(database, "delete", "b", "--yes")
    assert (again.exit_code, "there is no thread 'b'" in again.output) == (1, True)
    assert len(json.loads(run(database, "list", "--json").stdout)["threads"]) == 1


async def test_a_copy_has_everything_and_the_tags_of_the_database(sqlite_database: str) -> None:
    done = run(sqlite_database, "copy", "a", "new")
    assert (done.exit_code, done.stdout) == (0, "thread 'a' copied to 'new', which has 2 checkpoints\n")
    async with SQLAlchemySaver.from_conn_string(sqlite_database, tag_keys=TagKeys(exclude=("turn",))) as saver:
        assert [found.checkpoint for found in await saver.alist(config("new"))] == [c.checkpoint for c in await saver.alist(config("a"))]
        await expect_tags_of(saver)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "a"], "can't be copied to itself"),
        (["nobody", "new"], "there is no thread 'nobody'"),
        (["a", "b"], "there is a thread 'b' already, with 2 checkpoints"),
    ],
)
def test_a_copy_that_can_not_be_made_is_refused(database: str, arguments: list[str], said: str) -> None:
    done = run(database, "copy", *arguments)
    assert (done.exit_code, said in done.output) == (1, True), done.output


def test_a_copy_adds_to_a_thread_if_asked(database: str) -> None:
    done = run(database, "copy", "a", "b", "--merge", "--json")
    assert json.loads(done.stdout) == {"source": "a", "target": "b", "checkpoints": 3}


def test_threads_are_found_by_a_part_of_their_id_their_activity_and_size(database: str) -> None:
    def listed(*options: str) -> list[str]:
        return [thread["thread_id"] for thread in json.loads(run(database, "list", "--json", *options).stdout)["threads"]]

    assert listed("--contains", "\x1b") == ["c\x1b[1m"]
    assert listed("--contains", "B") == []
    assert listed("--active-since", "2000-01-01", "--order", "thread_id") == ["a", "b", "c\x1b[1m"]
    assert listed("--active-before", "2000-01-01") == []
    sizes = {thread["thread_id"]: thread["size"] for thread in json.loads(run(database, "list", "--json").stdout)["threads"]}
    assert listed("--least-size", str(sizes["b"]), "--filter", '{"turn": {"$gte": 1}}', "--order", "thread_id") == ["b", "c\x1b[1m"]
    assert run(database, "list", "--contains", "zz").stdout == "no such thread\n"
    assert run(database, "list", "--active-since", "soon").exit_code == 2
