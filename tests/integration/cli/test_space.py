"""`ckptstore prune` and `vacuum`, as cron runs them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ckptstore import RetentionPolicy, SQLAlchemySaver
from ckptstore.cli import main
from ckptstore.maintenance import run as run_module
from ckptstore.maintenance.gc_pass import DEFAULT_GRACE
from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.runtime.steps import Steps
from ckptstore.store.store import Store
from tests.support.build import checkpoint, config, metadata
from tests.support.clocks import Days
from tests.support.databases import url_of
from tests.support.deleted_rows import TEXT, fill_and_delete, pragma
from tests.support.rows import Rows


@pytest.fixture(params=["sqlite", "asyncpg"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Ten days of a thread, the last of them today; one is pinned, and each has a blob of its own on SQLite."""
    url = url_of(request.param, request, tmp_path)
    clock = Days()
    with SQLAlchemySaver.from_conn_string(url) as saver:
        today = saver.clock()
        saver.clock = clock
        for day in range(10):
            clock.now = today - timedelta(days=9 - day)
            values = {"n": day, "file": os.urandom(70_000)}
            made = checkpoint(values, dict.fromkeys(values, f"{day:010}.x"))
            saver.put(config("t"), made, metadata(day, pinned=day == 2), made["channel_versions"])
    return url


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def steps(url: str) -> list[int]:
    with SQLAlchemySaver.from_conn_string(url) as saver:
        return [found.metadata["step"] for found in saver.list(config("t"))]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--older-than", "84h"], [9, 8, 7, 6]),
        (["--keep-last", "2"], [9, 8]),
        (["--older-than", "3.5d", "--keep-last", "6"], [9, 8, 7, 6, 5, 4]),
        (["--keep-last", "1", "--keep-tag", '{"pinned": true}', "--keep-tag", '{"step": {"$lt": 1}}'], [9, 2, 0]),
        (["--idle-for", "5d"], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        (["--policy", "policy.toml"], [9, 8, 7, 2]),
    ],
)
def test_prune_takes_what_its_options_say(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: Any, left: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("policy.toml").write_text("[retention]\nkeep_last = 3\nkeep_tags = { pinned = true }\n")
    tried = run("prune", "--url", database, *options, "--dry-run", "--json")
    assert tried.exit_code == 0, tried.output
    assert len(steps(database)) == 10
    done = run("prune", "--url", database, *options, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report == json.loads(tried.stdout) | {"dry_run": False, "seconds": report["seconds"]}
    assert steps(database) == left
    assert (report["checkpoints"], report["objects"]) == (10 - len(left), (10 - len(left)) * (not database.startswith("postgresql")))
    again = run("prune", "--url", database, *options)
    assert (again.exit_code, again.stdout) == (
        0,
        "0 checkpoints deleted from 0 threads (0 of them completely), with 0 writes, 0 values and 0 segments: 0 bytes\n",
    )


def test_prune_reports_what_was_deleted(database: str) -> None:
    for options, said in (
        (["--dry-run"], "7 checkpoints would be deleted from 1 thread (0 of them completely)"),
        ([], "7 checkpoints deleted from 1 thread (0 of them completely)"),
    ):
        done = run("prune", "--url", database, "--keep-last", "3", *options)
        assert (done.exit_code, done.stdout.startswith(said)) == (0, True), done.output
        blobs = "a later run deletes what nothing refers to any more: 7 blobs (490,000 bytes)"
        assert (blobs in done.stdout) == database.endswith(".sqlite")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--older-than", "30"], "policy: checkpoints older than 30 days are deleted\n"),
        (
            ["--older-than", "36h", "--keep-last", "2"],
            "policy: checkpoints older than 36 hours are deleted, except the newest 2 of each thread\n",
        ),
        (["--older-than", "90m"], "policy: checkpoints older than 90 minutes are deleted\n"),
        (
            ["--keep-last", "3", "--keep-tag", '{"a": 1}'],
            "policy: all but the newest 3 of each thread are deleted; what matches a tag to keep is kept\n",
        ),
        (["--older-than", "1"], "policy: checkpoints older than 1 day are deleted\n"),
        (["--idle-for", "2w"], "policy: threads without activity for 14 days are deleted\n"),
    ],
)
def test_prune_says_the_policy_with_its_units(database: str, options: list[str], said: str) -> None:
    assert run("prune", "--url", database, "--dry-run", *options).stderr == said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give a policy: --older-than"),
        (["--keep-tag", '{"pinned": true}'], "give --older-than, --keep-last or --idle-for"),
        (["--older-than", "soon"], "--older-than must be a number of days"),
        (["--older-than", "-1d"], "--older-than must be from 0"),
        (["--idle-for", "nan"], "--idle-for must be"),
        (["--keep-last", "0"], "--keep-last"),
        (["--keep-last", "2", "--keep-tag", "pinned"], "metadata filter such as"),
        (["--keep-last", "2", "--keep-tag", "[" * 100_000], "it is no JSON"),
        (["--keep-last", "2", "--keep-tag", "{}"], "--keep-tag: a filter is empty"),
        (["--keep-last", "2", "--keep-tag", '{"a": {"$near": 1}}'], "$near"),
        (["--policy", "fine.toml", "--keep-last", "2"], "not both"),
        (["--policy", "nowhere.toml"], "nowhere.toml"),
        (["--policy", "bad.toml"], "bad.toml is not valid TOML"),
        (["--policy", "unknown.toml"], "unknown key 'max_days'"),
    ],
)
def test_a_wrong_policy_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in {"fine": "keep_last = 1", "bad": "keep_last = ", "unknown": "max_days = 3"}.items():
        Path(f"{name}.toml").write_text(text)
    with SQLAlchemySaver.from_conn_string("c.sqlite") as saver:
        made = checkpoint({"n": 1})
        saver.put(config("t"), made, metadata(), made["channel_versions"])
    done = run("prune", "--url", "c.sqlite", *options)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())
    assert steps("c.sqlite") == [0]


@pytest.mark.parametrize("command", [("prune", "--keep-last", "1"), ("vacuum",), ("vacuum", "--full")], ids=" ".join)
def test_a_database_that_is_not_there_is_reported_and_not_created(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = run(*command, "--url", str(tmp_path / "typo.sqlite"))
    assert done.exit_code == 1
    assert "does not exist" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_after_the_transaction_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    path = tmp_path / "c.sqlite"
    with SQLAlchemySaver.from_conn_string(path) as saver:
        for step in range(350):
            made = checkpoint({"n": step})
            saver.put(config("t"), made, metadata(step), made["channel_versions"])
    prune_by = Store.prune_by

    def signalled(store: Store, policy: RetentionPolicy, now: int, watch: PruneCallbacks, *, dry_run: bool) -> Steps[Any]:
        looks = iter(range(1_000))

        def should_stop() -> bool:
            # Before the third transaction somebody sends a signal to this very process.
            if next(looks) == 3:
                os.kill(os.getpid(), number)
            return watch.should_stop()

        return prune_by(store, policy, now, watch._replace(should_stop=should_stop), dry_run=dry_run)

    monkeypatch.setattr(Store, "prune_by", signalled)
    handlers = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    assert threading.current_thread() is threading.main_thread()
    done = run("prune", "--url", str(path), "--keep-last", "1")
    assert (done.exit_code, "run it again to continue" in done.output) == (130, True)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == handlers
    assert len(steps(str(path))) == 250
    monkeypatch.setattr(Store, "prune_by", prune_by)
    assert run("prune", "--url", str(path), "--keep-last", "1").exit_code == 0
    assert steps(str(path)) == [349]


async def test_prune_gives_blobs_and_pages_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.sqlite"
    clock = Days()
    async with SQLAlchemySaver.from_conn_string(path, clock=clock) as saver:
        for step in range(60):
            values = {"text": TEXT[step], "file": os.urandom(70_000)}
            made = checkpoint(values, dict.fromkeys(values, f"{step:010}.x"))
            await saver.aput(config("t"), made, metadata(step), made["channel_versions"])
    size = path.stat().st_size
    # By the wall's clock all of this is old.
    for grace in (DEFAULT_GRACE, timedelta(0)):
        monkeypatch.setattr(run_module, "DEFAULT_GRACE", grace)
        assert run("prune", "--url", str(path), "--keep-last", "2").exit_code == 0
    assert path.stat().st_size < size / 2
    assert pragma(path, "freelist_count") == 0
    assert len([each for each in Path(f"{path}.blobs").glob("*/*") if each.is_file()]) == 2  # noqa: ASYNC240
    async with SQLAlchemySaver.from_conn_string(path) as saver:
        assert (await saver.averify(deep=True)).ok
        assert Rows.of(saver).orphans() == {}


async def test_vacuum_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    await fill_and_delete(path)
    done = run("vacuum", "--url", str(path))
    assert (done.exit_code, done.stdout.endswith(f" {path.stat().st_size:,} bytes after\n")) == (0, True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA auto_vacuum=NONE")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    refused = run("vacuum", "--url", str(path))
    assert (refused.exit_code, "ckptstore vacuum --full" in refused.output) == (1, True)
    # Pruning goes on without it.
    assert run("prune", "--url", str(path), "--keep-last", "1").exit_code == 0
    assert run("vacuum", "--url", str(path), "--full").exit_code == 0
    assert run("vacuum", "--url", str(path)).exit_code == 0
