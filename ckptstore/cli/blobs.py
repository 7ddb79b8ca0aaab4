"""`ckptstore blobs copy`, `collect` and `verify`."""

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
from ckptstore.cli.options import of_store, opened_store, wall_clock, words_for_errors
from ckptstore.db import schema
from ckptstore.maintenance.gc import DEFAULT_GRACE, GcPass
from ckptstore.maintenance.reports import VerifyReport
from ckptstore.maintenance.verify import verify as verify_all
from ckptstore.runtime.loop_thread import LoopThread
from ckptstore.runtime.steps import drive
from ckptstore.store.store import Store

# A century.
_MOST_HOURS = 24 * 366 * 100


def _checked_hours(_context: click.Context, _parameter: click.Parameter, hours: float) -> float:
    # Written so that a NaN is refused too; the bound keeps the moment within the database's integers.
    if not 0 <= hours <= _MOST_HOURS:
        raise click.BadParameter(f"{hours} is no number of hours from 0 to {_MOST_HOURS}")
    return hours


@click.group()
def blobs() -> None:
    """Look after the blobs."""


@blobs.command()
@click.option("--from", "source", required=True, help="The URL under which the blobs are.")
@click.option("--to", "target", required=True, help="The URL under which they are to be.")
def copy(source: str, target: str) -> None:
    """Copy all blobs to another backend; run it again to go on where it stopped.

    Every blob is checked on its way. Afterwards give the new URL to your savers; the old blobs stay where they are.
    """
    report = _copy(source, target)
    click.echo(f"{report.copied} blobs copied ({report.copied_bytes} bytes), {report.skipped} were there already")
    for key in report.unrecognised:
        click.echo(f"left alone, not a blob of ckptstore's: {key}", err=True)
    for key, why in report.failed.items():
        click.echo(f"failed: {key}: {why}", err=True)
    sys.exit(bool(report.failed))


@blobs.command()
@of_store
@click.option(
    "--grace-hours",
    default=DEFAULT_GRACE / timedelta(hours=1),
    show_default=True,
    callback=_checked_hours,
    help="How long an unused blob stays, before and after it is marked.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
def collect(url: str, in_schema: str | None, blob_url: str | None, grace_hours: float, dry_run: bool) -> None:
    """Delete blobs that nothing refers to: one pass, for cron. The first pass marks, a later one deletes."""
    this = GcPass(wall_clock(), timedelta(hours=grace_hours), dry_run)
    with opened_store(url, in_schema, blob_url) as store, _clock("collecting"):
        report = drive(store.collect(this))
    would = "would be " if dry_run else ""
    click.echo(f"{report.deleted} blobs {would}deleted ({report.deleted_bytes} bytes)")
    click.echo(f"{report.marked} {would}marked, {report.unmarked} {would}kept after all")
    for key in report.failed:
        click.echo(f"could not be deleted, the next pass tries again: {key}", err=True)
    sys.exit(bool(report.failed))


@blobs.command()
@of_store
@click.option("--deep", is_flag=True, help="Read every blob and check its digest, not only its size.")
def verify(url: str, in_schema: str | None, blob_url: str | None, deep: bool) -> None:
    """Check that every blob and segment is there. Exits with 1 where one is missing or altered."""
    with opened_store(url, in_schema, blob_url) as store:
        report = _verify(store, deep)
        has_backend = store.objects.has_backend
    problems: dict[str, Sequence[object]] = {
        "missing": report.missing_objects,
        "corrupt": report.corrupt,
        "refers to a blob that is not registered as there"
        if has_backend
        else "in a blob, and no --blob-url was given": report.broken_references,
        "segment not in the database": report.missing_segments,
        "stray": report.unregistered_objects,
    }
    for name, found in problems.items():
        for item in found:
            click.echo(f"{name}: {item}", err=True)
    verdict = "all is there" if report.ok else "NOT all is there"
    click.echo(f"{report.objects} blobs ({report.object_bytes} bytes) and {report.segments} segments: {verdict}")
    sys.exit(not report.ok)


def _verify(store: Store, deep: bool) -> VerifyReport:
    # Where nobody looks, nothing is shown; the report says what counts.
    with tqdm(desc="looking at threads, segments and blobs", unit="", disable=None) as bar:

        def looked_at(count: int) -> None:
            bar.update(count)

        store.runner.write(schema.require_head).result()
        return store.objects.run(verify_all(store.objects, deep=deep, progress=looked_at)).result()


@contextmanager
def _clock(what: str) -> Iterator[None]:
    """Show for how long something has been going on."""
    with tqdm(desc=what, bar_format="{desc}: {elapsed}", disable=None) as bar:
        ended = threading.Event()

        def tick() -> None:
            while not ended.wait(1):
                bar.refresh()

        ticking = threading.Thread(target=tick, name="ckptstore-clock", daemon=True)
        ticking.start()
        try:
            yield
        finally:
            ended.set()
            ticking.join()


def _copy(source_url: str, target_url: str) -> CopyReport:
    with words_for_errors():
        source, target = open_backend(source_url, BlobSettings()), open_backend(target_url, BlobSettings())

        async def close() -> None:
            await source.close()
            await target.close()

        loop = LoopThread("ckptstore-copy")
        try:
            with tqdm(desc="listing", unit="B", unit_scale=True, unit_divisor=1024) as bar:

                def listed(_objects: int, total_bytes: int) -> None:
                    bar.reset(total_bytes)
                    bar.set_description("copying")

                def moved(size: int) -> None:
                    bar.update(size)

                report = loop.run(copy_blobs(source, target, listed, moved)).result()
        finally:
            loop.close(close())
    if not (report.copied or report.skipped or report.failed):
        raise click.ClickException(f"{source.url} does not exist, or holds no blob of ckptstore's; correct --from")
    return report
