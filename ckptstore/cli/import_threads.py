"""`ckptstore import`: threads from the official savers."""

from __future__ import annotations

from typing import Any

import click

from ckptstore.cli.options import errors_as_messages, interruptible, wall_clock
from ckptstore.cli.transfer import choice_of, open_side, print_report, progress_bar, target_option, transfer_options
from ckptstore.langgraph.imports.importing import import_threads
from ckptstore.langgraph.imports.opening import require_source
from ckptstore.langgraph.named_serialiser import default_serialiser, load_serialiser
from ckptstore.runtime.steps import drive
from ckptstore.transfer.options import TransferCallbacks, TransferOptions


@click.command("import")
@click.argument("source")
@target_option("The database URL to import to. A SQLite file is created if it does not exist; it may be the source's.")
@click.option("--from-schema", help="The PostgreSQL schema of the source's tables.")
@click.option("--to-schema", help="The PostgreSQL schema to import to.")
@click.option("--to-blob-url", help="The URL for large values; by default the folder next to a SQLite file.")
@click.option("--serde", metavar="MODULE:OBJECT", help="The serialiser that wrote the source, and with which it is read from now on.")
@click.option("--mirror", is_flag=True, help="Also delete at the target what was deleted at the source since the last import.")
@transfer_options
def import_(
    source: str,
    target_url: str,
    from_schema: str | None,
    to_schema: str | None,
    to_blob_url: str | None,
    serde: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Import the threads of SqliteSaver, AsyncSqliteSaver or PostgresSaver from SOURCE, the path or URL of their database.

    SOURCE is only read, and may be in use. A thread appears at the target as a whole. Run the command again after an interruption,
    or to bring what has changed since.
    """
    choice = choice_of(options)
    with errors_as_messages():
        given = None if serde is None else load_serialiser(serde)
        # Before the target is created, or upgraded.
        drive(require_source(source, from_schema))
    with open_side(target_url, to_schema, to_blob_url, create=True) as target, interruptible() as interrupted:
        with progress_bar(None) as show:
            report = drive(
                import_threads(
                    source,
                    target,
                    TransferOptions(choice=choice, **options),
                    schema=from_schema,
                    serde=given,
                    target_serde=given or default_serialiser(),
                    clock=wall_clock,
                    callbacks=TransferCallbacks(show, interrupted.is_set),
                )
            )
        print_report(report, as_json=as_json)
