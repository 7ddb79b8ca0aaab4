"""What `ckptstore copy`, `import` and `move` share: their options, opening both sides, the progress bar and the report."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import click
from sqlalchemy import URL
from tqdm import tqdm

from ckptstore.blobs.location import BlobLocation
from ckptstore.cli.created_files import removed_if_refused
from ckptstore.cli.options import EXIT_INTERRUPTED, errors_as_messages, existing_database, json_filter, parse_url, store_on
from ckptstore.db import schema
from ckptstore.db.open import open_database
from ckptstore.db.open_read_only import open_read_only
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings
from ckptstore.db.times import to_microseconds
from ckptstore.db.url import BLOB_URL_VARIABLE, DATABASE_URL_VARIABLE, default_blob_url
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.store.hints import require_store
from ckptstore.store.store import Store
from ckptstore.tags.filters import Filter
from ckptstore.transfer.parcel import Choice
from ckptstore.transfer.progress import logger as progress_logger
from ckptstore.transfer.report import TransferReport

Command = TypeVar("Command", bound=Callable[..., Any])


def target_option(help_text: str) -> Callable[[Command], Command]:
    """`--to`, or the variable of the database's URL, as `target_url`."""
    return click.option("--to", "target_url", envvar=DATABASE_URL_VARIABLE, required=True, show_envvar=True, help=help_text)


def parse_filter(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Filter | None:
    """A metadata filter of the command line."""
    if text is None:
        return None
    with errors_as_messages():
        return Filter.parse(json_filter(text), unindexed_when_empty=LANGGRAPH.unindexed_when_empty)


def parse_time(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    """A time in microseconds since 1970, UTC; a usage error if it is none."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as exc:
        raise click.BadParameter(f"{exc}; write a time such as 2026-01-31 or 2026-01-31T12:00+01:00") from exc
    return to_microseconds(time if time.tzinfo else time.replace(tzinfo=UTC))


_OPTIONS = (
    click.option("--thread", "thread_ids", multiple=True, help="Only this thread. Repeatable."),
    click.option("--filter", "wanted", callback=parse_filter, help="Only threads with a checkpoint that matches this filter, in JSON."),
    click.option("--since", callback=parse_time, help="Only threads that were written to since: 2026-01-31, or with a time."),
    click.option("--newest", type=click.IntRange(min=1), help="Only the newest N checkpoints of each thread and namespace."),
    click.option(
        "--on-conflict",
        type=click.Choice(["skip", "continue", "refuse"]),
        default="skip",
        show_default=True,
        help="What to do with a thread that is at the target with something else: leave it; bring what it lacks if all that it has is "
        "at the source; or refuse to begin.",
    ),
    click.option(
        "--verify",
        type=click.Choice(["none", "digests", "objects"]),
        default="digests",
        show_default=True,
        help="Read every row back and compare it; with `objects`, compare some checkpoints as they are loaded, too.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
)


def transfer_options(command: Command) -> Command:
    """Add the options that say what is transferred and how."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choice_of(options: dict[str, Any]) -> Choice:
    """What the options of `transfer_options` choose; they are taken out of the dict."""
    thread_ids, wanted, since, newest = [options.pop(name) for name in ("thread_ids", "wanted", "since", "newest")]
    if thread_ids and wanted is not None:
        raise click.UsageError("give either --thread or --filter")
    return Choice(list(thread_ids) or None, wanted, since, newest)


@contextmanager
def open_side(url: str, in_schema: str | None, blob_url: str | None, *, create: bool = False, read_only: bool = False) -> Iterator[Store]:
    """Open one side of a transfer; errors inside the block are printed without a traceback.

    Args:
        url: its database.
        in_schema: the PostgreSQL schema of its tables.
        blob_url: its blobs; by default where the database remembers them.
        create: whether a SQLite file is created, or upgraded. One that was created is deleted if the block fails and has stored nothing.
        read_only: whether the database itself refuses every write.
    """
    database_url = parse_url(url) if create else existing_database(url)
    with errors_as_messages(), removed_if_refused(database_url) if create else nullcontext():
        runner = (open_read_only if read_only else open_database)(database_url, DatabaseSettings(), in_schema)

        def find_blobs() -> str | None:
            return blob_url or _remembered_blobs(runner, create=create) or _default_blobs(runner.url)

        with store_on(runner, find_blobs, upgrade=create and runner.statements.on_sqlite) as store:
            yield store


def _remembered_blobs(runner: Runner, *, create: bool) -> str | None:
    if create and runner.statements.on_sqlite:
        runner.write(schema.upgrade_if_needed).result()
    else:
        runner.write(partial(require_store, state_format=LANGGRAPH)).result()
    location = BlobLocation(runner.url, None)
    runner.read(location.look_up).result()
    return location.remembered


def _default_blobs(url: URL) -> str | None:
    return default_blob_url(url) or os.environ.get(BLOB_URL_VARIABLE)


@contextmanager
def _failures_not_logged() -> Iterator[None]:
    """The report that is printed in the end names each thread that failed; a record of it would be printed, too."""

    def is_other(record: logging.LogRecord) -> bool:
        return getattr(record, "event", None) != "thread_not_transferred"

    progress_logger.addFilter(is_other)
    try:
        yield
    finally:
        progress_logger.removeFilter(is_other)


@contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[TransferReport, int], None]]:
    """A bar with rate and time left, on a terminal only."""
    with _failures_not_logged(), tqdm(desc="threads", total=total, unit=" checkpoints", disable=None) as bar:

        def show(report: TransferReport, done: int) -> None:
            bar.set_postfix_str(f"{plural(report.threads, 'thread')}, {report.bytes // 1024**2} MB", refresh=False)
            bar.update(done - bar.n)

        yield show


def print_report(report: TransferReport, *, as_json: bool) -> None:
    """Print a report, and exit: with 1 if a thread failed or does not exist, with 130 if the run was interrupted."""
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        _print(report)
    sys.exit(1 if report.failed_threads or report.missing_threads else EXIT_INTERRUPTED if report.stopped else 0)


def _print(report: TransferReport) -> None:
    click.echo(
        f"{plural(report.threads, 'thread')} copied, {report.updated_threads} brought up to date, {report.unchanged_threads} unchanged, "
        f"{report.deleted_threads} deleted: {plural(report.checkpoints, 'checkpoint')}, {plural(report.writes, 'write')}, "
        f"{plural(report.values, 'value')}, {plural(report.bytes, 'byte')}, {plural(report.objects, 'blob')} "
        f"({plural(report.object_bytes, 'byte')}) in {report.seconds:.1f} s"
    )
    if report.verified_rows:
        compared = f", {plural(report.compared_checkpoints, 'checkpoint')} compared as objects" if report.compared_checkpoints else ""
        click.echo(f"verified: {plural(report.verified_rows, 'row')} read back{compared}")
    print_problems(report)


def print_problems(report: TransferReport) -> None:
    """Print which threads were not transferred, and why."""
    if report.skipped_threads:
        few = ", ".join(map(repr, report.skipped_threads[:5]))
        click.echo(f"{plural(len(report.skipped_threads), 'thread')} skipped, because something else is at the target: {few}", err=True)
    for thread_id in report.missing_threads:
        click.echo(f"there is no thread {thread_id!r} at the source", err=True)
    for thread_id, reason in report.failed_threads.items():
        click.echo(f"failed: thread {thread_id!r}: {reason}", err=True)
    if report.stopped:
        click.echo("interrupted; run it again to continue", err=True)
