"""`ckptstore move`: all threads to another database, while agents write."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from ckptstore.cli.options import EXIT_INTERRUPTED, interruptible, wall_clock
from ckptstore.cli.transfer import open_side, print_problems, progress_bar
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.runtime.steps import drive
from ckptstore.transfer.moving import Move, MoveReport, unseal
from ckptstore.transfer.options import BlobMode, TransferCallbacks, Verify
from ckptstore.transfer.own_source import thread_totals


@click.command()
@click.option("--from", "source_url", required=True, help="The database URL to move from.")
@click.option("--to", "target_url", help="The database URL to move to. A SQLite file is created if it does not exist.")
@click.option("--from-schema", help="The PostgreSQL schema to move from.")
@click.option("--to-schema", help="The PostgreSQL schema to move to.")
@click.option("--from-blob-url", help="The URL of the blobs to move; by default where the database remembers them.")
@click.option("--to-blob-url", help="The URL for the blobs of the target; by default the folder next to a SQLite file.")
@click.option("--blobs", type=click.Choice(["keep", "copy"]), help="Keep the blobs where they are, or copy them; see `ckptstore copy`.")
@click.option("--verify", type=click.Choice(["none", "digests"]), default="digests", show_default=True, help="Read every row back.")
@click.option("--unseal", "take_back", is_flag=True, help="Let savers write to the database at --from again, and do nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def move(
    source_url: str,
    target_url: str | None,
    from_schema: str | None,
    to_schema: str | None,
    from_blob_url: str | None,
    to_blob_url: str | None,
    blobs: BlobMode | None,
    verify: Verify,
    take_back: bool,
    as_json: bool,
) -> None:
    """Move all threads to another database while agents write to this one.

    Threads are copied again and again until little is left; then the database at --from is sealed (every saver on it, of any process,
    gets StoreMoved for a write, and can still read), the rest is copied, and all of it is compared. If that fails, the seal is taken
    away. Run the command again after an interruption.
    """
    if take_back:
        with open_side(source_url, from_schema, from_blob_url) as source:
            click.echo("unsealed: savers can write again" if drive(unseal(source)) else "it was not sealed")
        return
    if target_url is None:
        raise click.UsageError("give --to, or --unseal")
    with (
        open_side(source_url, from_schema, from_blob_url) as source,
        open_side(target_url, to_schema, to_blob_url, create=True) as target,
        interruptible() as interrupted,
    ):
        with progress_bar(source.runner.read(thread_totals).result().checkpoints) as show:
            callbacks = TransferCallbacks(show, interrupted.is_set)
            report = drive(Move(source, target, blobs, verify, LANGGRAPH, wall_clock, callbacks).run())
        _print(report, as_json)
        sys.exit(0 if report.done else EXIT_INTERRUPTED if report.last.stopped else 1)


def _print(report: MoveReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    print_problems(report.last)
    if not report.done:
        click.echo("not moved; the source is as it was, and accepts writes", err=True)
        return
    if not report.rounds:
        click.echo(
            f"an earlier run has moved everything; the target has {plural(report.threads, 'thread')} with "
            f"{plural(report.checkpoints, 'checkpoint')} now"
        )
        return
    click.echo(
        f"{plural(report.threads, 'thread')} with {plural(report.checkpoints, 'checkpoint')} moved in "
        f"{plural(len(report.rounds), 'round')}; writers waited for {report.sealed_seconds:.1f} s"
    )
    click.echo(f"open your savers with {report.to} now (and its password); the old database refuses writes until: ckptstore move --unseal")
