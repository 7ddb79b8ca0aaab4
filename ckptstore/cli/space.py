"""`ckptstore prune` and `vacuum`: keeping a database bounded, from cron or by hand."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import click
from tqdm import tqdm

from ckptstore.cli.options import of_database, of_store, opened_store, wall_clock, words_for_errors
from ckptstore.errors import InvalidPolicy
from ckptstore.maintenance.policy import RetentionPolicy, parse_age
from ckptstore.maintenance.prune_run import PruneCallbacks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.steps import drive

# As a shell says it of a command that was interrupted.
_INTERRUPTED = 130


def _age(_context: click.Context, parameter: click.Parameter, given: str | None) -> timedelta | None:
    try:
        return None if given is None else parse_age(parameter.opts[0], given)
    except InvalidPolicy as exc:
        raise click.BadParameter(str(exc)) from exc


def _filters(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[Any]:
    try:
        return [json.loads(each) for each in given]
    except json.JSONDecodeError as exc:
        raise click.BadParameter(f"{exc}; write a metadata filter such as '{{\"pinned\": true}}'") from exc


@click.command()
@of_store
@click.option("--policy", "path", type=click.Path(exists=True, dir_okay=False), help="A TOML file with the policy.")
@click.option("--older-than", "max_age", callback=_age, help="Checkpoints of this age go: 30d, 12h, 90m.")
@click.option("--keep-last", type=click.IntRange(min=1), help="The newest of each thread and namespace that stay whatever their age.")
@click.option("--idle-for", "thread_ttl", callback=_age, help="Threads go whole in which nothing was stored for so long.")
@click.option(
    "--keep-tag", "keep_tags", callback=_filters, multiple=True, help="A metadata filter in JSON: what matches stays. Repeatable."
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, and say what would go.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def prune(url: str, in_schema: str | None, blob_url: str | None, path: str | None, dry_run: bool, as_json: bool, **given: Any) -> None:
    """Delete what a retention policy does not keep: for cron.

    Then one pass over the blobs that nothing refers to (a later run deletes them, a day after), and free pages go back to the
    file system. Exits with 0 when done, also with nothing to delete; with 1 on failure, 2 on a wrong policy, and 130 when it was
    interrupted: what was done is done, and the next run does the rest.
    """
    policy = _policy(path, {name: value for name, value in given.items() if value not in (None, [])})
    with (
        opened_store(url, in_schema, blob_url) as store,
        _interruptible() as interrupted,
        tqdm(desc="pruning", unit=" checkpoints", disable=None) as bar,
        words_for_errors(),
    ):

        def progress(report: PruneReport) -> None:
            bar.update(report.checkpoints - bar.n)

        report = drive(run_maintenance(store, policy, wall_clock, PruneCallbacks(progress, interrupted.is_set), dry_run=dry_run))
    _print(report, as_json)
    sys.exit(_INTERRUPTED if report.stopped else 0)


def _policy(path: str | None, given: dict[str, Any]) -> RetentionPolicy:
    try:
        if path is not None:
            if given:
                raise click.UsageError("give the policy as --policy or as single options, not both")
            return RetentionPolicy.from_toml(path)
        if not given:
            raise click.UsageError("say what may go: --older-than, --keep-last, --idle-for, or a file with --policy")
        return RetentionPolicy(**given)
    except InvalidPolicy as exc:
        raise click.UsageError(str(exc)) from exc


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Let Ctrl-C and SIGTERM end a run after the transaction that is under way."""
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print(report: PruneReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    went = "would go" if report.dry_run else "went"
    click.echo(
        f"{report.checkpoints} checkpoints {went} of {report.threads} threads ({report.deleted_threads} whole), "
        f"with {report.writes} writes, {report.values} values and {report.segments} segments: {report.bytes} bytes"
    )
    if report.objects:
        click.echo(f"{report.objects} blobs ({report.object_bytes} bytes) are not referred to any more; a later run deletes them")
    if report.stopped:
        click.echo("interrupted: run it again to go on", err=True)


@click.command()
@of_database
@click.option("--full", is_flag=True, help="Rewrite everything at once; everybody else is locked out meanwhile.")
def vacuum(url: str, in_schema: str | None, full: bool) -> None:
    """Give back what deletions have freed: to the file system (SQLite), or to later writes (PostgreSQL)."""
    with opened_store(url, in_schema, None) as store, words_for_errors():
        report = drive(store.vacuum(full=full))
    click.echo(f"{report.after_bytes} bytes, were {report.before_bytes}")
