"""`ckptstore reencrypt`."""

from __future__ import annotations

import sys
import time

import click
from tqdm import tqdm

from ckptstore.cli.options import errors_as_messages, open_store, store_options, wall_clock
from ckptstore.langgraph.named_serialiser import load_serialiser
from ckptstore.langgraph.recode import Recoder
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.maintenance.reports import ReencryptReport
from ckptstore.runtime.steps import drive


@click.command()
@store_options
@click.option("--old", required=True, metavar="MODULE:OBJECT", help="The serialiser that wrote the store.")
@click.option("--new", required=True, metavar="MODULE:OBJECT", help="The serialiser that shall read it.")
@click.option("--allow-plain", is_flag=True, help="Also take values that are not encrypted, under an old serialiser that encrypts.")
def reencrypt(url: str, in_schema: str | None, blob_url: str | None, old: str, new: str, allow_plain: bool) -> None:
    """Store every value anew under another serialiser, for a change of keys, while others read and write.

    First give every saver ckptstore.key_ring(new, old), which reads both keys. Run this, then take the old key away. If it is
    interrupted, run it again: it leaves what is done.
    """
    started = time.perf_counter()
    with errors_as_messages():
        recode = Recoder(load_serialiser(old), load_serialiser(new), allow_plain=allow_plain)
    with open_store(url, in_schema, blob_url) as store, tqdm(desc="rows", unit="", disable=None) as bar:

        def show(report: ReencryptReport) -> None:
            bar.update(report.checkpoints + report.values + report.writes + report.done_before - bar.n)

        report = drive(store.reencrypt(recode, wall_clock(), show))
    click.echo(
        f"stored anew: {plural(report.checkpoints, 'checkpoint')}, {plural(report.values, 'value')}, {plural(report.writes, 'write')}; "
        f"done before: {plural(report.done_before, 'row')}, in {time.perf_counter() - started:.1f} s"
    )
    if report.changed_meanwhile:
        click.echo(f"{plural(report.changed_meanwhile, 'row')} changed meanwhile: run the command again", err=True)
        sys.exit(1)
