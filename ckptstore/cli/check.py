"""`ckptstore check`: whether a store can be used."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from ckptstore.cli.options import errors_as_messages, existing_database, store_options, wall_clock
from ckptstore.cli.reading import reading_store, shows_data
from ckptstore.cli.tables import json_option, print_json, print_lines
from ckptstore.db.open import open_database
from ckptstore.db.runner import Runner
from ckptstore.db.settings import DatabaseSettings
from ckptstore.inspection.checks import Finding, Status, check_cluster, check_database, check_store
from ckptstore.langgraph.structure.as_text import printable
from ckptstore.runtime.steps import drive
from ckptstore.tags.keys import TagKeys
from ckptstore.transfer.seal import read_seal

_COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red"}
_WIDTH = 9


@click.command()
@store_options
@click.option("--include", multiple=True, help="The include of your savers' tag_keys, to compare. Repeatable.")
@click.option("--exclude", multiple=True, help="The exclude of your savers' tag_keys, to compare. Repeatable.")
@click.option("--write-blob", is_flag=True, help="Also write a small blob, and delete it.")
@json_option
@shows_data
def check(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    write_blob: bool,
    as_json: bool,
) -> None:
    """Check that a store can be used: schema, tag keys, permissions, blobs, clocks. Says what to do about each problem.

    Exits with 0 if nothing failed (a warning is no failure), with 1 otherwise. Changes nothing, unless --write-blob is given.
    """
    with errors_as_messages():
        tag_keys = TagKeys(include=include or ("*",), exclude=exclude) if include or exclude else None
        found = _check_all(url, in_schema, blob_url, tag_keys, write_blob=write_blob)
    failed = any(finding.status is Status.FAILED for finding in found)
    if as_json:
        print_json({"ok": not failed, "checks": [finding._asdict() for finding in found]})
    else:
        print_lines(_lines(found))
    sys.exit(failed)


def _check_all(url: str, in_schema: str | None, blob_url: str | None, tag_keys: TagKeys | None, *, write_blob: bool) -> list[Finding]:
    with _runner(url, in_schema) as runner:
        found = check_database(runner)
        if any(finding.status is Status.FAILED for finding in found):
            return found
        found += check_cluster(runner)
        if any(finding.status is Status.FAILED for finding in found):
            return found
        seal = runner.read(read_seal).result()
    if seal is not None:
        found.append(Finding("seal", Status.FAILED, f"the store has moved to {seal.to}, and takes no writes", "give your savers that URL"))
    with reading_store(url, in_schema, blob_url) as store:
        return [*found, *drive(check_store(store, tag_keys, wall_clock, write_blob=write_blob))]


@contextmanager
def _runner(url: str, in_schema: str | None) -> Iterator[Runner]:
    runner = open_database(existing_database(url), DatabaseSettings(), in_schema)
    try:
        yield runner
    finally:
        runner.close()


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    for finding in found:
        yield f"{click.style(finding.status.ljust(_WIDTH), fg=_COLOURS[finding.status])}{finding.name}: {printable(finding.message)}"
        if finding.way_out:
            yield f"{' ' * _WIDTH}{finding.way_out}"
