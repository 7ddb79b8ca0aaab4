"""`ckptstore copy`: threads from one of our databases to another."""

from __future__ import annotations

from typing import Any

import click

from ckptstore.cli.options import errors_as_messages, interruptible, wall_clock
from ckptstore.cli.transfer import choice_of, open_side, print_report, progress_bar, transfer_options
from ckptstore.langgraph.comparing import compare_checkpoints, loading
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.named_serialiser import default_serialiser, load_serialiser
from ckptstore.runtime.steps import drive
from ckptstore.transfer.copying import copy_store
from ckptstore.transfer.options import BlobMode, TransferCallbacks, TransferOptions
from ckptstore.transfer.own_source import thread_totals


@click.command()
@click.option("--from", "source_url", required=True, help="The database URL to copy from; it is only read.")
@click.option("--to", "target_url", required=True, help="The database URL to copy to. A SQLite file is created if it does not exist.")
@click.option("--from-schema", help="The PostgreSQL schema to copy from.")
@click.option("--to-schema", help="The PostgreSQL schema to copy to.")
@click.option("--from-blob-url", help="The URL of the blobs to copy; by default where the database remembers them.")
@click.option("--to-blob-url", help="The URL for the blobs of the target; by default the folder next to a SQLite file.")
@click.option(
    "--blobs",
    type=click.Choice(["keep", "copy"]),
    help="Keep the blobs where they are, for both databases, or copy them. By default they are kept if both have the same blob URL.",
)
@click.option("--mirror", is_flag=True, help="Also delete at the target what was deleted at the source since the last copy.")
@click.option("--serde", metavar="MODULE:OBJECT", help="The serialiser of both, for --verify objects.")
@transfer_options
def copy(
    source_url: str,
    target_url: str,
    from_schema: str | None,
    to_schema: str | None,
    from_blob_url: str | None,
    to_blob_url: str | None,
    blobs: BlobMode | None,
    serde: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Copy threads with everything that they have to another database or schema, while others use both.

    A thread appears at the target as a whole. Run the command again after an interruption, or to bring what has changed since. With
    --thread it makes a file of one thread: ckptstore copy --from URL --to case.sqlite --thread ann
    """
    choice = choice_of(options)
    with errors_as_messages():
        reading = default_serialiser() if serde is None else load_serialiser(serde)
    with (
        open_side(source_url, from_schema, from_blob_url) as source,
        open_side(target_url, to_schema, to_blob_url, create=True) as target,
        interruptible() as interrupted,
    ):
        total = None if choice.thread_ids or choice.wanted else source.runner.read(thread_totals).result().checkpoints
        with progress_bar(total) as show:
            callbacks = TransferCallbacks(show, interrupted.is_set)
            copied = drive(copy_store(source, target, TransferOptions(choice=choice, **options), blobs, LANGGRAPH, wall_clock, callbacks))
        if options["verify"] == "objects":
            compared = drive(compare_checkpoints(loading(source, reading), loading(target, reading), reading, copied.sample))
            copied.report.compared_checkpoints = compared
        print_report(copied.report, as_json=as_json)
