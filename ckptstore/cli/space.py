"""`ckptstore prune` and `vacuum`: keeping a database small, from cron or by hand."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any

import click
from tqdm import tqdm

from ckptstore.cli.options import (
    EXIT_INTERRUPTED,
    Command,
    database_options,
    interruptible,
    json_filter,
    open_store,
    store_options,
    wall_clock,
)
from ckptstore.errors import InvalidPolicy
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.maintenance.policy import RetentionPolicy, parse_age, with_names
from ckptstore.maintenance.prune_callbacks import PruneCallbacks
from ckptstore.maintenance.reports import PruneReport
from ckptstore.maintenance.run import run_maintenance
from ckptstore.runtime.steps import drive


def _parse_age(_context: click.Context, parameter: click.Parameter, text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_age(parameter.opts[0], text)
    except InvalidPolicy as exc:
        raise click.BadParameter(str(exc)) from exc


def _parse_filters(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> list[Any]:
    return [json_filter(text) for text in texts]


_POLICY_OPTIONS = (
    click.option("--policy", "path", type=click.Path(exists=True, dir_okay=False), help="A TOML file with the retention policy."),
    click.option(
        "--older-than",
        "max_age",
        metavar="AGE",
        callback=_parse_age,
        help="Delete checkpoints older than this: 30 or 30d are days, 12h, 90m, 2w.",
    ),
    click.option("--keep-last", type=click.IntRange(min=1), help="Keep the newest N of each thread and namespace, whatever their age."),
    click.option(
        "--idle-for", "thread_ttl", metavar="AGE", callback=_parse_age, help="Delete threads in which nothing was stored for this long."
    ),
    click.option(
        "--keep-tag",
        "keep_tags",
        callback=_parse_filters,
        multiple=True,
        help="Keep checkpoints that match this metadata filter, in JSON. Repeatable.",
    ),
)


_OPTIONS_OF_POLICY = {"max_age": "--older-than", "keep_last": "--keep-last", "thread_ttl": "--idle-for", "keep_tags": "--keep-tag"}


def policy_options(command: Command) -> Command:
    """Add the options that make a retention policy; `policy_of` reads them."""
    for option in reversed(_POLICY_OPTIONS):
        command = option(command)
    return command


@click.command()
@store_options
@policy_options
@click.option("--dry-run", is_flag=True, help="Delete nothing, and print what would be deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def prune(url: str, in_schema: str | None, blob_url: str | None, path: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Delete what a retention policy does not keep, for cron.

    Then run one garbage collection pass over the blobs (a run a day later deletes those that this one marks), and give free pages
    back to the file system. Exits with 0 when it is done, even if there was nothing to delete; with 1 after an error, with 2 for an
    invalid policy, and with 130 when it was interrupted: what it deleted is committed, and the next run continues.

    In the report, a write is what a task wrote to a channel, a value the state of a channel that checkpoints share, a segment a part of
    such values, stored once, and bytes are those that these rows held in the database.
    """
    policy = policy_of(path, options)
    if policy is None:
        raise click.UsageError("give a policy: --older-than, --keep-last, --idle-for, or a file with --policy")
    with (
        open_store(url, in_schema, blob_url) as store,
        interruptible() as interrupted,
        tqdm(desc="pruning", unit=" checkpoints", disable=None) as bar,
    ):

        def progress(report: PruneReport) -> None:
            bar.update(report.checkpoints - bar.n)

        # Before anything is pruned.
        drive(store.require_blob_url())
        report = drive(run_maintenance(store, policy, wall_clock, PruneCallbacks(progress, interrupted.is_set), dry_run=dry_run))
    _print(report, policy, as_json)
    sys.exit(EXIT_INTERRUPTED if report.stopped else 0)


def policy_of(path: str | None, options: dict[str, Any]) -> RetentionPolicy | None:
    """The policy that the options of `policy_options` make; None if none of them is given."""
    options = {name: value for name, value in options.items() if value not in (None, [])}
    try:
        if path is not None:
            if options:
                raise click.UsageError("give the policy either with --policy or with the other options, not both")
            return RetentionPolicy.from_toml(path)
        return RetentionPolicy(**options) if options else None
    except InvalidPolicy as exc:
        # A file has the policy's own names.
        raise click.UsageError(str(exc) if path is not None else with_names(exc, _OPTIONS_OF_POLICY)) from exc


def _print(report: PruneReport, policy: RetentionPolicy, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    click.echo(f"policy: {_in_words(policy)}", err=True)
    deleted = "would be deleted" if report.dry_run else "deleted"
    click.echo(
        f"{plural(report.checkpoints, 'checkpoint')} {deleted} from {plural(report.threads, 'thread')} "
        f"({report.deleted_threads:,} of them completely), with {plural(report.writes, 'write')}, {plural(report.values, 'value')} "
        f"and {plural(report.segments, 'segment')}: {plural(report.bytes, 'byte')}"
    )
    if report.objects:
        blobs = f"{plural(report.objects, 'blob')} ({plural(report.object_bytes, 'byte')})"
        click.echo(f"a later run deletes what nothing refers to any more: {blobs}")
    if report.stopped:
        click.echo("interrupted; run it again to continue", err=True)


def _in_words(policy: RetentionPolicy) -> str:
    """A policy, with the unit of each age."""
    parts: list[str] = []
    if policy.max_age is not None:
        parts.append(f"checkpoints older than {_age(policy.max_age)} are deleted{_keeping(policy)}")
    elif policy.keep_last is not None:
        parts.append(f"all but the newest {policy.keep_last} of each thread are deleted")
    if policy.thread_ttl is not None:
        parts.append(f"threads without activity for {_age(policy.thread_ttl)} are deleted")
    if policy.keep_tags:
        parts.append("what matches a tag to keep is kept")
    return "; ".join(parts)


def _age(age: timedelta) -> str:
    """An age with its unit: `30 days`, `12 hours`, `90 minutes`."""
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if age and not age % unit:
            return plural(age // unit, name)
    return f"{age.total_seconds():g} seconds"


def _keeping(policy: RetentionPolicy) -> str:
    return "" if policy.keep_last is None else f", except the newest {policy.keep_last} of each thread"


@click.command()
@database_options
@click.option("--full", is_flag=True, help="Rewrite the whole database, and lock everybody else out meanwhile.")
def vacuum(url: str, in_schema: str | None, full: bool) -> None:
    """Give the space of deleted rows back: to the file system (SQLite), or to later writes (PostgreSQL)."""
    with open_store(url, in_schema, None) as store:
        report = drive(store.vacuum(full=full))
    click.echo(f"{plural(report.before_bytes, 'byte')} before, {plural(report.after_bytes, 'byte')} after")
