"""`ckptstore blobs copy`, `collect`, `relocate` and `verify`."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import click
from tqdm import tqdm

from ckptstore.blobs.backends.open import open_backend
from ckptstore.blobs.copy import CopyReport, copy_blobs
from ckptstore.blobs.settings import BlobSettings
from ckptstore.cli.options import errors_as_messages, open_store, store_options, wall_clock
from ckptstore.db import schema
from ckptstore.langgraph.format import LANGGRAPH
from ckptstore.langgraph.structure.as_text import plural
from ckptstore.maintenance.gc_pass import DEFAULT_GRACE, GcPass
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.verify import verify as verify_objects
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.steps import drive
from ckptstore.store.store import Store

# A century: it keeps times within the database's integers.
_MAX_HOURS = 24 * 366 * 100


def _check_hours(_context: click.Context, _parameter: click.Parameter, hours: float) -> float:
    # Written so that NaN is refused too.
    if not 0 <= hours <= _MAX_HOURS:
        raise click.BadParameter(f"--grace-hours must be between 0 and {_MAX_HOURS}, got {hours}")
    return hours


@click.group()
def blobs() -> None:
    """Maintain the blobs."""


@blobs.command()
@click.option("--from", "source", required=True, help="The URL to copy the blobs from.")
@click.option("--to", "target", required=True, help="The URL to copy the blobs to.")
def copy(source: str, target: str) -> None:
    """Copy all blobs to another backend. Run it again to continue after an interruption.

    The content of every blob is checked. Afterwards run `blobs relocate`, and open your savers with the new URL; the old blobs are not
    deleted.
    """
    report = _copy(source, target)
    click.echo(f"{plural(report.copied, 'blob')} copied ({plural(report.copied_bytes, 'byte')}), {report.skipped} already at the target")
    for key in report.unrecognised:
        click.echo(f"not copied, not a blob of ckptstore: {key}", err=True)
    for key, reason in report.failed.items():
        click.echo(f"failed: {key}: {reason}", err=True)
    sys.exit(bool(report.failed))


@blobs.command()
@store_options
@click.option(
    "--grace-hours",
    default=DEFAULT_GRACE / timedelta(hours=1),
    show_default=True,
    callback=_check_hours,
    help="How long an unreferenced blob is kept before it is marked, and again before a marked one is deleted.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and print what would be done.")
def collect(url: str, in_schema: str | None, blob_url: str | None, grace_hours: float, dry_run: bool) -> None:
    """Run one garbage collection pass, for cron: mark blobs that nothing refers to, delete those that an earlier pass marked."""
    gc_pass = GcPass(wall_clock(), timedelta(hours=grace_hours), dry_run)
    with open_store(url, in_schema, blob_url) as store, _elapsed_time("collecting"):
        report = drive(store.collect(gc_pass))
    if report.held:
        click.echo("a backup is under way: nothing was collected", err=True)
    would_be = "would be " if dry_run else ""
    click.echo(f"{plural(report.deleted, 'blob')} {would_be}deleted ({plural(report.deleted_bytes, 'byte')})")
    click.echo(f"{report.marked} {would_be}marked, {report.unmarked} {would_be}unmarked")
    if report.unfinished:
        click.echo(f"{plural(report.unfinished, 'unfinished upload')} {would_be}deleted")
    for key in report.failed:
        click.echo(f"failed to delete, the next pass tries again: {key}", err=True)
    sys.exit(bool(report.failed))


@blobs.command()
@store_options
@click.option("--force", is_flag=True, help="Also if blobs are missing there.")
def relocate(url: str, in_schema: str | None, blob_url: str | None, force: bool) -> None:
    """Say that the blobs of the database are at --blob-url from now on, after `blobs copy`. Refuses if one is missing there."""
    with open_store(url, in_schema, blob_url) as store, _elapsed_time("looking for the blobs"):
        drive(store.relocate_blobs(force=force))
        where = store.objects.location.url
    click.echo(f"the blobs are at {where} now")


@blobs.command()
@store_options
@click.option("--deep", is_flag=True, help="Read every blob and check its content, not only its size.")
def verify(url: str, in_schema: str | None, blob_url: str | None, deep: bool) -> None:
    """Check that every blob and segment exists. Exits with 1 if one is missing or corrupt."""
    with open_store(url, in_schema, blob_url) as store:
        report = _verify(store, deep)
        has_backend = store.objects.has_backend
        location = store.objects.location
    for problem, found in _problems(report, has_backend).items():
        for item in found:
            click.echo(f"{problem}: {item}", err=True)
    if location.is_elsewhere:
        click.echo(location.explanation, err=True)
    result = "nothing is missing or corrupt" if report.ok else "FAILED, something is missing or corrupt"
    if report.unchecked_rows:
        click.echo(
            f"without a checksum, because from before schema revision 0005: {report.unchecked_rows:,} of {plural(report.rows, 'row')}"
        )
    click.echo(
        f"{plural(report.objects, 'blob')} ({plural(report.object_bytes, 'byte')}), {plural(report.segments, 'segment')} "
        f"and {plural(report.rows, 'row')}: {result}"
    )
    sys.exit(not report.ok)


def _problems(report: VerifyReport, has_backend: bool) -> dict[str, Sequence[object]]:
    return {
        "missing blob": report.missing_objects,
        "missing segment": report.missing_segments,
        "incomplete checkpoint": report.incomplete_checkpoints,
        "thread with other checkpoints than it counts": report.wrong_counts,
        "checkpoint without some of its tags": report.untagged_checkpoints,
        "corrupt": report.corrupt,
        "damaged database": report.database_faults,
        "unreadable blob": report.unreadable_objects,
        "segment in an unregistered blob" if has_backend else "segment in a blob, and no --blob-url was given": report.broken_references,
        "unregistered blob": report.unregistered_objects,
    }


def _verify(store: Store, deep: bool) -> VerifyReport:
    # `disable=None` shows the bar on a terminal only.
    with tqdm(desc="checking threads, segments and blobs", unit="", disable=None) as bar:

        def show(count: int) -> None:
            bar.update(count)

        store.runner.write(schema.require_head).result()
        store.runner.read(store.objects.location.look_up).result()
        return store.objects.run(verify_objects(store.objects, LANGGRAPH, deep=deep, progress=show)).result()


@contextmanager
def _elapsed_time(description: str) -> Iterator[None]:
    """Show for how long the block has been running, on a terminal."""
    with tqdm(desc=description, bar_format="{desc}: {elapsed}", disable=None) as bar:
        ended = threading.Event()

        def refresh() -> None:
            while not ended.wait(1):
                bar.refresh()

        worker = threading.Thread(target=refresh, name="ckptstore-elapsed-time", daemon=True)
        worker.start()
        try:
            yield
        finally:
            ended.set()
            worker.join()


def _copy(source_url: str, target_url: str) -> CopyReport:
    with errors_as_messages():
        source, target = open_backend(source_url, BlobSettings()), open_backend(target_url, BlobSettings())

        async def close() -> None:
            await source.close()
            await target.close()

        loop = LoopThread("ckptstore-copy")
        try:
            with tqdm(desc="listing", unit="B", unit_scale=True, unit_divisor=1024) as bar:

                def show_total(_objects: int, total_bytes: int) -> None:
                    bar.reset(total_bytes)
                    bar.set_description("copying")

                def show(size: int) -> None:
                    bar.update(size)

                report = loop.run(copy_blobs(source, target, show_total, show)).result()
        finally:
            loop.close(close())
    if not (report.copied or report.skipped or report.failed):
        raise click.ClickException(f"{source.url} does not exist, or has no blobs of ckptstore; correct --from")
    return report
