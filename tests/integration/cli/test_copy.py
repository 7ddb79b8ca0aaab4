"""`ckptstore copy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import SQLAlchemySaver
from ckptstore.cli import main
from tests.support.build import checkpoint, metadata
from tests.support.checked_rows import run as execute
from tests.support.databases import url_of
from tests.support.transfers import contents, fill, sqlite_file, threads_of


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["copy", *arguments])


def test_to_postgres_and_again(request: pytest.FixtureRequest, source: str, tmp_path: Path) -> None:
    target = url_of("asyncpg", request, tmp_path)
    first = run("--from", source, "--to", target, "--verify", "objects")
    assert first.exit_code == 0, first.output
    assert first.output.startswith("3 threads copied, 0 brought up to date, 0 unchanged, 0 deleted: 15 checkpoints, 27 writes")
    assert "15 checkpoints compared as objects" in first.output
    report = json.loads(run("--from", source, "--to", target, "--json").stdout)
    assert (report["threads"], report["unchanged_threads"] + report["updated_threads"]) == (0, 3)
    with SQLAlchemySaver.from_conn_string(source) as one, SQLAlchemySaver.from_conn_string(target) as other:
        assert contents(other) == contents(one)


def test_one_thread_into_a_file_of_its_own(source: str, tmp_path: Path) -> None:
    case = tmp_path / "case.sqlite"
    done = run("--from", source, "--to", str(case), "--thread", "t1", "--newest", "2")
    assert done.exit_code == 0, done.output
    with SQLAlchemySaver.from_conn_string(case) as other:
        assert threads_of(other) == ["t1"]
        assert len(contents(other)) == 2
        assert other.verify(deep=True).ok


def test_blobs_are_found_where_the_database_remembers_them(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = sqlite_file(request, tmp_path / "app.sqlite")
    with SQLAlchemySaver.from_conn_string(source, blob_url=tmp_path / "elsewhere") as saver:
        fill(saver, threads=1)
        before = contents(saver)
    assert run("--from", source, "--to", str(tmp_path / "b.sqlite")).exit_code == 0
    with SQLAlchemySaver.from_conn_string(tmp_path / "b.sqlite") as other:
        assert contents(other) == before
    assert any((tmp_path / "b.sqlite.blobs").iterdir())


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--from", "missing.sqlite"], 1, "does not exist"),
        (["--filter", "{"], 2, "metadata filter such as"),
        (["--filter", "[" * 100_000], 2, "it is no JSON"),
        (["--filter", '{"a": {"$no": 1}}'], 1, "no"),
        (["--since", "yesterday"], 2, "2026-01-31"),
        (["--thread", "t1", "--filter", "{}"], 2, "either --thread or --filter"),
        (["--mirror", "--newest", "1"], 1, "mirror"),
        (["--blobs", "keep"], 1, "same blob URL"),
        (["--verify", "objects", "--serde", "nowhere:x"], 1, "can't be imported"),
    ],
)
def test_wrong_options_say_what_is_wrong(source: str, tmp_path: Path, options: list[str], code: int, says: str) -> None:
    given = ["--from", source, *options] if options[0] != "--from" else options
    done = run(*given, "--to", str(tmp_path / "b.sqlite"))
    assert (done.exit_code, says in done.output) == (code, True), done.output
    assert "Traceback" not in done.output


def test_a_target_without_the_schema_names_the_command(source: str, postgres_url: str) -> None:
    done = run("--from", source, "--to", postgres_url, "--to-schema", "nobody_has_this")
    assert done.exit_code == 1
    assert "ckptstore upgrade --schema nobody_has_this" in done.output


def test_failed_and_skipped_threads_are_named(source: str, tmp_path: Path) -> None:
    target = str(tmp_path / "b.sqlite")
    with SQLAlchemySaver.from_conn_string(source) as one:
        execute(one, "UPDATE ckpt_write SET channel = 'x' WHERE thread_id = 't1' AND task_id = 'task-2'")
    done = run("--from", source, "--to", target)
    assert done.exit_code == 1
    assert "failed: thread 't1': " in done.output
    with SQLAlchemySaver.from_conn_string(target) as other:
        found: Any = other.get_tuple({"configurable": {"thread_id": "t0"}})
        other.put(found.config, checkpoint({"n": 9}), metadata(9), {})
    done = run("--from", source, "--to", target, "--thread", "t0", "--thread", "t2")
    assert done.exit_code == 0
    assert "1 thread skipped, because something else is at the target: 't0'" in done.output
