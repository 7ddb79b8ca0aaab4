"""`ckptstore stats`: what a store holds and how it grows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click

from ckptstore.cli.options import store_options, wall_clock
from ckptstore.cli.reading import reading_store, shows_data
from ckptstore.cli.space import policy_of, policy_options
from ckptstore.cli.tables import Column, count, json_option, print_json, print_table
from ckptstore.inspection.retention import dry_run
from ckptstore.inspection.sample import Sample
from ckptstore.inspection.stats import StatsRequest, StoreStats, TagIndex, store_stats
from ckptstore.inspection.table_sizes import TableSizes
from ckptstore.langgraph.structure.as_text import byte_count, plural, printable
from ckptstore.maintenance.reports import PruneReport
from ckptstore.runtime.steps import drive

_BAR_WIDTH = 30


@click.command()
@store_options
@policy_options
@click.option("--days", type=click.IntRange(1, 366), default=14, show_default=True, help="Growth of so many days.")
@click.option(
    "--largest", type=click.IntRange(1, 1_000), default=10, show_default=True, help="So many of the largest threads and channels."
)
@click.option("--full", is_flag=True, help="Read everything: all pages of a large SQLite file, all threads instead of a sample.")
@click.option(
    "--max-seconds", type=click.FloatRange(min=0), default=60, show_default=True, help="End the dry run of a retention policy after this."
)
@json_option
@shows_data
def stats(
    url: str,
    in_schema: str | None,
    blob_url: str | None,
    path: str | None,
    days: int,
    largest: int,
    full: bool,
    max_seconds: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Show what a store holds: threads, checkpoints, space by table, blobs, how values are shared, the largest, and growth by day.

    With the options of a retention policy, also what `ckptstore prune` with them would delete now. Changes nothing.
    """
    policy = policy_of(path, options)
    with reading_store(url, in_schema, blob_url) as store:
        found = drive(store_stats(store, StatsRequest(wall_clock(), days, largest, full)))
        report = None if policy is None else drive(dry_run(store, policy, wall_clock(), max_seconds))
    if as_json:
        print_json(_as_json(found, report))
    else:
        _print(found, report)


def _as_json(found: StoreStats, report: PruneReport | None) -> dict[str, Any]:
    sample = found.sample
    return {
        "threads": found.threads,
        "checkpoints": found.checkpoints,
        "serialised_bytes": found.serialised_bytes,
        "bytes": found.sizes.bytes,
        "free_bytes": found.sizes.free_bytes,
        "tables": [table._asdict() for table in found.sizes.tables],
        "tables_not_read": found.sizes.reason,
        "tags": found.tags._asdict(),
        "objects": {of.state: {"objects": of.objects, "bytes": of.bytes} for of in found.objects},
        "largest_threads": [thread._asdict() for thread in found.largest_threads],
        "sample": None if sample is None else _sample_as_json(sample),
        "growth": [{**day._asdict(), "day": day.day.isoformat()} for day in found.growth],
        "growth_is_estimated": found.growth_is_estimated,
        "retention": None if report is None else asdict(report),
    }


def _sample_as_json(sample: Sample) -> dict[str, Any]:
    return {**sample._asdict(), "ratio": sample.ratio, "channels": [of._asdict() for of in sample.channels]}


def _print(found: StoreStats, report: PruneReport | None) -> None:
    mean = byte_count(found.serialised_bytes // found.checkpoints) if found.checkpoints else "0 B"
    click.echo(
        f"{plural(found.threads, 'thread')}, {plural(found.checkpoints, 'checkpoint')}, "
        f"which added {byte_count(found.serialised_bytes)} as serialised ({mean} each)"
    )
    _print_tables(found.sizes)
    click.echo(_tags(found.tags))
    for line in _objects(found):
        click.echo(line)
    if found.sample is not None:
        _print_sample(found.sample, found.threads)
    if found.largest_threads:
        _title("largest threads")
        columns = [Column("thread", folded=True), Column("checkpoints", right=True), Column("size", right=True)]
        print_table(columns, [[of.thread_id, count(of.checkpoints), byte_count(of.bytes)] for of in found.largest_threads])
    _print_growth(found)
    if report is not None:
        _print_retention(report)


def _title(text: str) -> None:
    click.echo()
    click.echo(click.style(text, bold=True))


def _print_tables(sizes: TableSizes) -> None:
    _title("space")
    free = "" if sizes.free_bytes is None else f", {byte_count(sizes.free_bytes)} of it free: ckptstore vacuum gives it back"
    click.echo(f"{byte_count(sizes.bytes)} in the database{free}")
    if sizes.reason is not None:
        click.echo(f"by table: not measured, because {sizes.reason} (--full)")
        return
    has_dead = any(table.dead_rows is not None for table in sizes.tables)
    columns = [Column("table"), *[Column(title, right=True) for title in ("rows", "size", "indexes", *["dead rows"] * has_dead)]]
    rows = [
        [
            f"{table.name}{'' if table.indexes_are_valid else ' (an index is invalid: REINDEX it)'}",
            "unknown" if table.rows is None else count(table.rows),
            byte_count(table.bytes),
            byte_count(table.index_bytes),
            *[count(table.dead_rows or 0)] * has_dead,
        ]
        for table in sizes.tables
    ]
    print_table(columns, rows)
    if has_dead:
        click.echo("rows are those of the last ANALYZE, dead rows those that PostgreSQL's statistics count")


def _tags(tags: TagIndex) -> str:
    if tags.is_rebuilding:
        return "tag index: a rebuild has begun and not ended; finish it: ckptstore tags rebuild"
    excluded = f", but not of {printable(', '.join(tags.exclude))}" if tags.exclude else ""
    keys = "all keys" if list(tags.include) == ["*"] else f"keys {printable(', '.join(tags.include))}"
    return f"tag index: of {keys}{excluded}"


def _objects(found: StoreStats) -> Iterator[str]:
    if not found.objects:
        yield "blobs: none, or in the database"
        return
    parts = [f"{count(of.objects)} {of.state} ({byte_count(of.bytes)})" for of in found.objects]
    yield f"blobs: {', '.join(parts)}"


def _print_sample(sample: Sample, threads: int) -> None:
    _title("values")
    whole = "all threads" if sample.is_everything else f"a sample of {count(sample.threads)} of {count(threads)} threads"
    click.echo(f"measured on {whole}: {plural(sample.checkpoints, 'checkpoint')}, {plural(sample.writes, 'write')}")
    smaller = "" if sample.ratio is None else f": {sample.ratio:.1f} times less"
    click.echo(f"{byte_count(sample.serialised_bytes)} serialised, {byte_count(sample.stored_bytes)} stored{smaller}")
    for ratio, what in ((sample.shared, "a segment is used {:.1f} times on average"), (sample.compressed, "compression: {:.1f} to 1")):
        if ratio is not None:
            click.echo(what.format(ratio))
    columns = [Column("largest channels"), *[Column(title, right=True) for title in ("values", "serialised", "largest value")]]
    sizes = [(of.channel, count(of.values), byte_count(of.serialised_bytes), byte_count(of.largest_bytes)) for of in sample.channels]
    if sizes:
        print_table(columns, sizes)


def _print_growth(found: StoreStats) -> None:
    _title(f"growth, by day in UTC{' (bytes estimated from the mean)' if found.growth_is_estimated else ''}")
    most = max((day.bytes for day in found.growth), default=0)
    columns = [Column("day"), Column("checkpoints", right=True), Column("added", right=True), Column("")]
    bars = ["#" * (_BAR_WIDTH * of.bytes // most if most else 0) for of in found.growth]
    rows = [[f"{of.day}", count(of.checkpoints), byte_count(of.bytes), bar] for of, bar in zip(found.growth, bars, strict=True)]
    print_table(columns, rows)


def _print_retention(report: PruneReport) -> None:
    _title("what this retention policy would delete now")
    click.echo(
        f"{plural(report.checkpoints, 'checkpoint')} of {plural(report.threads, 'thread')} "
        f"({count(report.deleted_threads)} of them completely), {byte_count(report.bytes)} in the database, "
        f"{plural(report.objects, 'blob')} ({byte_count(report.object_bytes)})"
    )
    if report.stopped:
        click.echo("at least: the dry run was ended by --max-seconds")
