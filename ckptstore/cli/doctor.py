"""`ckptstore doctor`: what a store needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import click

from ckptstore.cli.doctor_measure import measure
from ckptstore.cli.options import EXIT_INTERRUPTED, interruptible, store_options, wall_clock
from ckptstore.cli.reading import reading_store, shows_data
from ckptstore.cli.space import policy_of, policy_options
from ckptstore.cli.tables import json_option, print_json, print_lines
from ckptstore.inspection.doctor.diagnosis import diagnose
from ckptstore.inspection.doctor.facts import Facts
from ckptstore.inspection.doctor.findings import Finding, Severity
from ckptstore.inspection.doctor.reading import read_facts
from ckptstore.inspection.retention import dry_run
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.as_text import printable
from ckptstore.maintenance.policy import RetentionPolicy
from ckptstore.runtime.steps import Steps, drive
from ckptstore.store.store import Store

_COLOURS = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.CARE: "yellow", Severity.URGENT: "red"}
_WIDTH = 8


@click.command()
@store_options
@policy_options
@click.option(
    "--max-seconds", type=click.FloatRange(min=0), default=60, show_default=True, help="End the dry run of a retention policy after this."
)
@click.option("--measure", "measured", is_flag=True, help="Also test how much this machine can write, beside the store.")
@click.option("--measure-seconds", type=click.FloatRange(0.1, 60), default=3, show_default=True, help="How long that takes.")
@json_option
@shows_data
def doctor(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    path: str | None,
    max_seconds: float,
    measured: bool,
    measure_seconds: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a store needs: another database, retention, a vacuum, an index, more connections; with the numbers, and what to run.

    It goes by the load that savers recorded in the last 14 days and by the database's own figures. With the options of a retention
    policy, it also says how much is overdue. It changes nothing: --measure writes into a folder next to the SQLite file, or a schema of
    its own, and takes it away again. Exits with 1 if a finding is urgent, with 0 otherwise.
    """
    policy = policy_of(path, options)
    with reading_store(url, in_schema, blob_url) as store:
        ceiling = _ceiling(store, measure_seconds) if measured else None
        facts = drive(_examine(store, policy, max_seconds, ceiling))
    found = diagnose(facts)
    if as_json:
        print_json({"ok": not _is_urgent(found), "findings": [finding._asdict() for finding in found], "facts": asdict(facts)})
    else:
        print_lines(_lines(found))
    sys.exit(_is_urgent(found))


def _ceiling(store: Store, seconds: float) -> float:
    with interruptible() as interrupted:
        ceiling = measure(store.runner.url, seconds, interrupted)
    if interrupted.is_set():
        sys.exit(EXIT_INTERRUPTED)
    return ceiling


def _examine(store: Store, policy: RetentionPolicy | None, max_seconds: float, ceiling: float | None) -> Steps[Facts]:
    now = wall_clock()
    overdue = None
    if policy is not None:
        overdue = (yield from dry_run(store, policy, now, max_seconds)).checkpoints
    return (yield from read_facts(store, now, LANGGRAPH, ceiling=ceiling, overdue=overdue))


def _is_urgent(found: Sequence[Finding]) -> bool:
    return any(finding.severity is Severity.URGENT for finding in found)


def _lines(found: Sequence[Finding]) -> Iterator[str]:
    for finding in found:
        yield f"{click.style(finding.severity.ljust(_WIDTH), fg=_COLOURS[finding.severity])}{finding.name}: {printable(finding.message)}"
        if finding.command:
            yield f"{' ' * _WIDTH}{printable(finding.command)}"
