"""`ckptstore threads erase`: for requests to be forgotten."""

from __future__ import annotations

import json
import sys
from datetime import timedelta

import click
from tqdm import tqdm

from ckptstore.cli.options import open_store, store_options, wall_clock
from ckptstore.cli.reading import FilterOf, parse_filter
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.maintenance.reports import EraseReport
from ckptstore.runtime.steps import drive
from ckptstore.store.erasing import Erasure


@click.command()
@store_options
@click.option(
    "--filter", "wanted", required=True, callback=parse_filter, help="Threads with a checkpoint that matches this filter, in JSON."
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, and print which threads would be deleted.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def erase(url: str, in_schema: str | None, blob_url: str | None, wanted: FilterOf, dry_run: bool, as_json: bool) -> None:
    """Delete every thread of a user, and the blobs that only these threads used, now.

    For example: ckptstore threads erase --url URL --filter '{"user_id": "ann"}'
    """
    with open_store(url, in_schema, blob_url) as store, tqdm(desc="erasing", unit=" threads", disable=None) as bar:

        def show(report: EraseReport) -> None:
            bar.update(len(report.threads) - bar.n)

        drive(store.require_blob_url())
        report = drive(Erasure(store, wanted(store), timedelta(0), wall_clock, show).run(dry_run=dry_run))
    _print(report, as_json)
    sys.exit(bool(report.failed))


def _print(report: EraseReport, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    would_be = "would be " if report.dry_run else ""
    erased = f"{plural(len(report.threads), 'thread')} with {plural(report.checkpoints, 'checkpoint')} {would_be}erased"
    click.echo(f"{erased}: {', '.join(report.threads)}")
    if not report.dry_run:
        click.echo(
            f"with {plural(report.writes, 'write')}, {plural(report.values, 'value')}, {plural(report.segments, 'segment')} "
            f"and {plural(report.objects, 'blob')} ({plural(report.object_bytes, 'byte')}), "
            f"from {report.started_at.isoformat()} to {report.ended_at.isoformat()}"
        )
    if report.shared_objects:
        click.echo(f"kept, because other threads use them too: {plural(report.shared_objects, 'blob')}")
    for key in report.failed:
        click.echo(f"failed to delete a blob; `ckptstore blobs collect` tries again: {key}", err=True)
    click.echo("not reached: " + "; ".join(report.not_reached))
