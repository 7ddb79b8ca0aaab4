"""`ckptstore backup` and `restore`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click
from tqdm import tqdm

from ckptstore.cli.options import interruptible, open_store, store_options, wall_clock
from ckptstore.cli.transfer import open_side, print_problems, progress_bar, target_option
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.runtime.steps import drive
from ckptstore.transfer.backup import BackupReport, Format, back_up
from ckptstore.transfer.options import TransferCallbacks
from ckptstore.transfer.pg_tools import FOLDER_VARIABLE
from ckptstore.transfer.restore import RestoreReport
from ckptstore.transfer.restore import restore as restore_backup

_pg_bin = click.option(
    "--pg-bin",
    envvar=FOLDER_VARIABLE,
    show_envvar=True,
    help="The folder of pg_dump and pg_restore; by default where the shell finds them.",
)


@click.command()
@store_options
@click.argument("to")
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["pg_dump", "sqlite"]),
    help="How PostgreSQL is stored: as a dump of pg_dump, or as a SQLite file. By default a dump, if pg_dump is installed and can make it.",
)
@_pg_bin
@click.option("--prune", is_flag=True, help="Delete blobs that no backup there needs, if an earlier run has found so a day ago or before.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def backup(
    url: str, in_schema: str | None, blob_url: str | None, to: str, wanted: Format | None, pg_bin: str | None, prune: bool, as_json: bool
) -> None:
    """Back up the database and its blobs to TO, a folder or a URL such as s3://bucket/prefix, while others write.

    A backup is a SQLite file, or a dump of pg_dump, and the blobs that it refers to; blobs are stored once for all backups in the same
    place. The collector of blobs is held off meanwhile. Each kind is restored to either database.
    """
    with open_store(url, in_schema, blob_url) as store, tqdm(desc="blobs", unit="", disable=None) as bar:

        def show(total: int) -> None:
            bar.total = total
            bar.update(1)

        drive(store.require_blob_url())
        report = drive(back_up(store, to, LANGGRAPH, wall_clock, show, wanted=wanted, pg_folder=pg_bin, prune=prune))
    _print_backup(report, as_json)
    sys.exit(bool(report.failed))


def _print_backup(report: BackupReport, as_json: bool) -> None:
    if report.remark:
        click.echo(f"the copy of the database is a SQLite file: {report.remark}", err=True)
    for key in report.failed:
        click.echo(f"missing or damaged, not in the backup: {key}", err=True)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    click.echo(
        f"backup {report.name} ({report.format}): {plural(report.threads, 'thread')} with {plural(report.checkpoints, 'checkpoint')}, "
        f"{plural(report.database_bytes, 'byte')}; {plural(report.objects, 'blob')} ({plural(report.object_bytes, 'byte')}), "
        f"{report.copied} of them copied now ({plural(report.copied_bytes, 'byte')})"
    )
    if report.pruned:
        click.echo(f"deleted, because no backup needs them: {plural(report.pruned, 'blob')} ({plural(report.pruned_bytes, 'byte')})")
    if report.unneeded:
        click.echo(
            f"needed by no backup any more: {plural(report.unneeded, 'blob')} ({plural(report.unneeded_bytes, 'byte')}) there; a backup "
            "with --prune deletes those that have been so for a day"
        )


@click.command()
@click.argument("source")
@target_option("The database URL to restore to; it must be empty.")
@click.option("--to-schema", help="The PostgreSQL schema to restore to.")
@click.option("--to-blob-url", help="The URL for the blobs; by default the folder next to a SQLite file.")
@click.option("--name", help="The name of the backup; by default the newest.")
@_pg_bin
def restore(source: str, target_url: str, to_schema: str | None, to_blob_url: str | None, name: str | None, pg_bin: str | None) -> None:
    """Restore a backup from SOURCE, where `ckptstore backup` put it, into an empty database of either kind, and verify all of it.

    Run it again after an interruption.
    """
    with (
        open_side(target_url, to_schema, to_blob_url, create=True) as target,
        interruptible() as interrupted,
    ):
        with progress_bar(None) as show:
            callbacks = TransferCallbacks(show, interrupted.is_set)
            report = drive(restore_backup(source, name, target, LANGGRAPH, wall_clock, callbacks, pg_folder=pg_bin))
        _print(report)
        sys.exit(not report.ok)


def _print(report: RestoreReport) -> None:
    backup_, verified = report.backup, report.verified
    print_problems(report.transfer)
    click.echo(
        f"backup {backup_.name}: {plural(backup_.threads, 'thread')} with {plural(backup_.checkpoints, 'checkpoint')}, "
        f"{plural(report.transfer.objects, 'blob')} copied"
    )
    click.echo(
        f"verified: {plural(verified.rows, 'row')}, {plural(verified.segments, 'segment')} and {plural(verified.objects, 'blob')}: "
        + ("nothing is missing or corrupt" if verified.ok else "FAILED; run ckptstore blobs verify")
    )
    if verified.unregistered_objects:
        click.echo(f"harmless, but of no row: {plural(len(verified.unregistered_objects), 'blob')} there", err=True)
